create or replace function fleet.payment_key_kind(p_key text)
returns text
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select case
        when p_key ~ '^cs(_|$)' then 'session'
        when p_key ~ '^(ch|py)_' then 'charge'
        when p_key ~ '^GPA[.]' then 'order'
        when p_key ~ '^(event:|re_|pyr_|dp_|du_|issfr_|prv_)' then null
        else 'payment'
    end
$$;

revoke all on function fleet.payment_key_kind(text) from public, anon, authenticated, service_role;
comment on function fleet.payment_key_kind(text) is
    'What a key of fleet.payment_keys names: a checkout session, a charge, an order or the payment itself; a payment '
    'has one name of each kind. Null for events, refunds, disputes, warnings and reviews, of which it may have many.';
