-- Definer: the worker may hear what became of its batch, not read the inbox.
create or replace function fleet.failed_attempts(p_event_ids bigint[], p_now timestamptz default null)
returns table (event_id bigint, attempts integer, error text, pause_s double precision)
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select
        e.id,
        e.attempts,
        e.last_error,
        extract(epoch from e.next_attempt_at - coalesce(p_now, clock_timestamp()))::double precision
    from fleet.inbox_events as e
    where e.id = any(p_event_ids) and e.state in ('pending', 'dead') and e.last_error is not null
$$;

revoke all on function fleet.failed_attempts(bigint[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.failed_attempts(bigint[], timestamptz) is 'How often these events failed, of what, and how long each pauses before it is tried again; for the log.';
