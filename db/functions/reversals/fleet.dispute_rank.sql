create or replace function fleet.dispute_rank(p_status text)
returns integer
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select case when p_status = 'lost' then 2 when p_status in ('won', 'prevented', 'warning_closed') then 1 else 0 end
$$;

revoke all on function fleet.dispute_rank(text) from public, anon, authenticated, service_role;
comment on function fleet.dispute_rank(text) is
    'Orders two statuses that were told in one second: closed is later than open, lost is later than won.';
