create or replace function fleet.names_an_order(p_half jsonb)
returns boolean
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select coalesce(
        p_half ->> 'profile_id' is not null or (p_half ->> 'buyer_unreadable')::boolean or p_half ->> 'sku' is not null,
        false
    )
$$;

revoke all on function fleet.names_an_order(jsonb) from public, anon, authenticated, service_role;
comment on function fleet.names_an_order(jsonb) is
    'Whether a half names a buyer, readable or not, or a product: then its payment is ours.';
