-- Definer: who only scales the fleet may have this number and nothing else.
-- The planner is made to read the pending index in order, as for claims (fleet.claim_events).
create or replace function fleet.backlog_seconds()
returns double precision
language sql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
    -- An event that fails while others succeed is tried by itself after pauses: more workers would not help it.
    select coalesce(
        (
            select greatest(0, extract(epoch from clock_timestamp() - greatest(e.received_at, e.next_attempt_at)))
            from fleet.inbox_events as e
            where e.state = 'pending'
                and e.next_attempt_at <= clock_timestamp()
                and not exists (select from fleet.set_aside_events as s where s.event_id = e.id and s.setbacks > 0)
            order by e.id
            limit 1
        ),
        0
    )::double precision
$$;

revoke all on function fleet.backlog_seconds() from public, anon, authenticated, service_role;
comment on function fleet.backlog_seconds() is
    'For how many seconds the oldest event that a worker could take now has been due; 0 if there is none. The number '
    'of workers follows it: events that wait for a pause, a person or their other half do not count.';
