-- Definer: the worker may fail calls, not write the outbox or the inbox.
create or replace function fleet.fail_provider_call(
    p_id bigint,
    p_attempt integer,
    p_error text,
    p_fate text,
    p_retry_after_s double precision default null,
    p_now timestamptz default null
)
returns table (state text, attempts integer, pause_s double precision, failing_s double precision)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_call fleet.provider_calls;
    v_is_dead boolean;
    v_pause_s double precision;
begin
    select c.* into v_call
    from fleet.provider_calls as c
    -- A worker that did not hear that this is written writes it again: then the lease is over, and nothing is.
    where c.id = p_id and c.attempts = p_attempt and c.state = 'pending' and c.lease_until is not null
    for no key update;
    if not found then
        return;
    end if;
    v_is_dead := case p_fate
        when 'refused' then true
        -- As many tries as an event has.
        when 'defect' then v_call.failures >= 4
        else coalesce(v_call.give_up_at <= v_now, false)
            -- The app is told for three days: ten times.
            or v_call.kind = 'app.deliver' and v_call.attempts >= 10
    end;
    v_pause_s := fleet.call_pause_s(v_call.kind, v_call.attempts, p_retry_after_s);
    update fleet.provider_calls as c
    set
        state = case when v_is_dead then 'dead' else 'pending' end,
        failures = c.failures + (p_fate <> 'transient')::integer,
        next_attempt_at = v_now + make_interval(secs => v_pause_s),
        dated_at = v_now,
        finished_at = case when v_is_dead then v_now end,
        lease_until = null,
        last_error = p_error
    where c.id = p_id;
    if v_is_dead then
        -- The event says why it waits. If another session holds it, it says so when it wakes by itself.
        update fleet.inbox_events as e
        set reason = 'dead_call'
        where e.id = any(array(
            select w.id
            from fleet.inbox_events as w
            where w.id = v_call.event_id and w.state = 'waiting'
            for no key update skip locked
        ));
    end if;
    return query
    select
        case when v_is_dead then 'dead' else 'pending' end,
        v_call.attempts,
        v_pause_s,
        extract(epoch from v_now - v_call.first_attempt_at)::double precision;
end
$$;

revoke all on function fleet.fail_provider_call(bigint, integer, text, text, double precision, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.fail_provider_call(bigint, integer, text, text, double precision, timestamptz) is
    'Records a failed attempt. p_fate transient: it is tried again after a growing pause, and dead only after its '
    'give_up_at, or at the tenth if the app is to be told. defect: dead at the fifth. refused: dead at once. An event '
    'that waits for a dead call says so. No row if the attempt is not the newest any more.';
