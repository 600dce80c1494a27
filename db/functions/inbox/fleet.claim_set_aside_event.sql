create or replace function fleet.claim_set_aside_event(p_now timestamptz)
returns table (event_id bigint)
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_event_id bigint;
begin
    -- Only one of them at a time in the whole fleet: each may wait for what blocks it, and the other workers must go
    -- on meanwhile.
    if not pg_try_advisory_xact_lock(hashtextextended('coinfleet.set_aside', 0)) then
        return;
    end if;
    select e.id into v_event_id
    from fleet.set_aside_events as s
    join fleet.inbox_events as e on e.id = s.event_id
    where s.setbacks > 0 and e.state = 'pending' and e.starts = 0
        -- No pause is longer: a time further ahead comes from a clock that was set right since.
        and (e.next_attempt_at <= p_now or e.next_attempt_at > p_now + interval '5 minutes')
    order by e.next_attempt_at
    limit 1
    for no key update of e skip locked;
    if found then
        -- What it failed of before probably still blocks it, so the wait for a lock is shorter than for other events.
        perform set_config('lock_timeout', '1000', true);
        return query select v_event_id;
    end if;
end
$$;

revoke all on function fleet.claim_set_aside_event(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.claim_set_aside_event(timestamptz) is
    'Locks and returns one due event that was set aside, unless another session tries one now. Shortens the '
    'transaction''s lock timeout.';
