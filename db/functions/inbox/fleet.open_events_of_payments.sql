-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.open_events_of_payments(p_payment_ids bigint[])
returns setof bigint
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select e.id from fleet.inbox_events as e where e.payment_id = any(p_payment_ids) and e.state in ('waiting', 'held')
$$;

revoke all on function fleet.open_events_of_payments(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.open_events_of_payments(bigint[]) is 'The events of these payments that wait or are held.';
