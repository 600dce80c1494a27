-- Definer: the worker has no right to the table itself.
create or replace function fleet.claim_tick(p_job text, p_tick bigint, p_now timestamptz default null)
returns integer
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_attempts integer;
    v_now timestamptz;
begin
    select t.attempts into v_attempts
    from fleet.ticks as t
    where t.job = p_job and t.tick = p_tick and t.finished_at is null
        -- No pause is longer than 5 s: a later time comes from a clock that was ahead.
        and (
            t.claimable_at <= coalesce(p_now, clock_timestamp())
            or t.claimable_at > coalesce(p_now, clock_timestamp()) + interval '10 seconds'
        )
        and (
            t.asked_at is not null
            or not exists (select from fleet.schedule_pauses as p where p.job = t.job)
        )
    for update of t skip locked;
    if not found then
        return null;
    end if;
    v_now := coalesce(p_now, clock_timestamp());
    if v_attempts >= 3 then
        perform fleet.end_tick(p_job, p_tick, 'failed', 'no worker lived to finish it', v_now);
        return null;
    end if;
    update fleet.ticks as t
    set attempts = v_attempts + 1, started_at = v_now, claimable_at = v_now + interval '5 seconds'
    where t.job = p_job and t.tick = p_tick;
    return v_attempts + 1;
end
$$;

revoke all on function fleet.claim_tick(text, bigint, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.claim_tick(text, bigint, timestamptz) is
    'Counts an attempt at a tick and returns its number, or null if another worker has the tick, it is done, or its '
    'job is paused. '
    'Committed at once, so that a tick that kills its worker is given up after three attempts; fleet.hold_tick must '
    'follow within 5 s.';
