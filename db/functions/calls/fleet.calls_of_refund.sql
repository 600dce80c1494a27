-- Definer: a console may find a call by its refund, and not read what a provider answered.
create or replace function fleet.calls_of_refund(p_refund_id text)
returns setof bigint
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select c.id from fleet.provider_calls as c where c.result ->> 'refund_id' = p_refund_id
$$;

revoke all on function fleet.calls_of_refund(text) from public, anon, authenticated, service_role;
comment on function fleet.calls_of_refund(text) is
    'The calls that had a refund made, by the provider''s id of it.';
