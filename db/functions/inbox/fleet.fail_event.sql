-- Definer: the worker may fail an event, not write the inbox.
create or replace function fleet.fail_event(p_event_id bigint, p_error text, p_now timestamptz default null)
returns text
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select r.state
    from fleet.record_outcomes(
        array[row(p_event_id, 'failed', null, null, null, null, false, null, p_error)::fleet.outcome],
        coalesce(p_now, clock_timestamp())
    ) as r
$$;

revoke all on function fleet.fail_event(bigint, text, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.fail_event(bigint, text, timestamptz) is
    'Counts a failed attempt of one event and returns its state: pending with a pause, or dead. Null if the event was '
    'not pending any more.';
