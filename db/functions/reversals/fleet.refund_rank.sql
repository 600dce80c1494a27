create or replace function fleet.refund_rank(p_status text)
returns integer
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select case p_status when 'succeeded' then 2 when 'failed' then 3 when 'canceled' then 3 else 1 end
$$;

revoke all on function fleet.refund_rank(text) from public, anon, authenticated, service_role;
comment on function fleet.refund_rank(text) is
    'Orders a refund''s statuses by how far they are: a refund never goes back, so the furthest status seen is the '
    'latest.';
