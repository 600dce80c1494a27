create or replace function fleet.answer_key(p_provider text, p_inquiry_id text)
returns text
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select case p_provider
        when 'apple' then 'coinfleet:consumption:' || p_inquiry_id
        when 'google' then 'coinfleet:review:' || encode(sha256(convert_to(p_inquiry_id, 'UTF8')), 'hex')
    end
$$;

revoke all on function fleet.answer_key(text, text) from public, anon, authenticated, service_role;
comment on function fleet.answer_key(text, text) is
    'The key of the call that answers a store''s question; a store takes one answer.';
