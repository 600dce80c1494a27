-- Definer: the worker may wake events, not write the inbox.
create or replace function fleet.wake_waiting_events(p_limit integer, p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_woken bigint;
begin
    -- An event received later than now came by a clock that was ahead. Counted from now, it waits as long as it was
    -- meant to.
    update fleet.inbox_events as e
    set
        received_at = v_now,
        -- PostgreSQL 15 and 16 can't subtract from an infinite time, which a person may have set.
        next_attempt_at = v_now
            + greatest(case when isfinite(e.next_attempt_at) then e.next_attempt_at - e.received_at end, interval '0')
    where e.id = any(array(
        select a.id
        from fleet.inbox_events as a
        where a.state in ('pending', 'waiting', 'held') and a.received_at > v_now + interval '1 minute'
        limit p_limit
        for no key update skip locked
    ));
    with due as (
        select e.id
        from fleet.inbox_events as e
        where e.state = 'waiting' and e.next_attempt_at <= v_now
        order by e.next_attempt_at
        limit p_limit
        for no key update skip locked
    ),
    woken as (
        -- Waiting is no failure: it counts no attempt.
        update fleet.inbox_events as e set state = 'pending', attempts = 0 from due where e.id = due.id returning e.id
    )
    select count(*) into v_woken from woken;
    return v_woken;
end
$$;

revoke all on function fleet.wake_waiting_events(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.wake_waiting_events(integer, timestamptz) is
    'Makes up to p_limit waiting events pending whose time to wait is over, so that they are decided without their '
    'other half; returns how many. Open events whose time of receipt is ahead of now are dated anew first.';
