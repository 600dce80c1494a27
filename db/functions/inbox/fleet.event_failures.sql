-- Definer: the worker has no right to the inbox itself.
create or replace function fleet.event_failures(p_event_ids bigint[])
returns table (event_id bigint, state text, attempts integer, error text, retry_in_s double precision)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        e.id,
        e.state,
        e.attempts,
        e.last_error,
        case when e.state = 'pending' then extract(epoch from e.next_attempt_at - clock_timestamp()) end
    from fleet.inbox_events as e
    where e.id = any(p_event_ids)
    order by e.id
$$;

revoke all on function fleet.event_failures(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.event_failures(bigint[]) is
    'What a worker logs about events that failed: the attempt, its error and when the next attempt is due.';
