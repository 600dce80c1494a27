-- Definer: the worker may set an event aside, not write the inbox.
create or replace function fleet.set_event_aside(
    p_event_id bigint,
    p_sqlstate text,
    p_error text,
    p_others_succeed boolean,
    p_now timestamptz default null
)
returns table (setbacks integer, pause_s double precision, failing_s double precision)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_row fleet.set_aside_events;
    v_pause interval;
begin
    -- The session that holds the event now will record its outcome.
    perform 1
    from fleet.inbox_events as e
    where e.id = p_event_id and e.state = 'pending'
    for no key update skip locked;
    if not found then
        return;
    end if;
    insert into fleet.set_aside_events as s (event_id, failing_since, setbacks, sqlstate)
    values (p_event_id, v_now, p_others_succeed::integer, p_sqlstate)
    on conflict (event_id) do update
    set
        -- A clock that was ahead and has been set right leaves times in the future.
        failing_since = least(s.failing_since, v_now),
        setbacks = s.setbacks + p_others_succeed::integer,
        sqlstate = excluded.sqlstate
    returning s.* into v_row;
    v_pause := case
        when p_others_succeed then least(interval '5 minutes', interval '5 seconds' * 2 ^ least(v_row.setbacks - 1, 10))
        -- No event succeeds at present: this one is tried again together with the others, as soon as one does.
        else interval '1 second'
    end;
    update fleet.inbox_events as e
    set next_attempt_at = v_now + v_pause, last_error = p_error
    where e.id = p_event_id;
    return query select v_row.setbacks, extract(epoch from v_pause)::double precision,
        extract(epoch from v_now - v_row.failing_since)::double precision;
end
$$;

revoke all on function fleet.set_event_aside(bigint, text, text, boolean, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.set_event_aside(bigint, text, text, boolean, timestamptz) is
    'Notes that a pending event failed alone for a passing cause; no attempt is counted. If others succeed, its pause '
    'doubles, from 5 s to 5 minutes. Returns no row if it is not pending, or another worker has it.';
