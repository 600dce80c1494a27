-- Definer: the console has no right to the tables themselves.
create or replace function fleet.run_schedule(p_job text, p_typed_by text, p_reason text)
returns text
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_schedule fleet.schedules;
    v_last fleet.ticks;
    v_now timestamptz;
    v_tick bigint;
begin
    perform fleet.commit_durably();
    -- The lock of fleet.add_tick, so that no tick is opened meanwhile.
    select s.* into v_schedule from fleet.schedules as s where s.job = p_job for update;
    if not found then
        return 'never_fired';
    end if;
    select t.* into v_last
    from fleet.ticks as t
    where t.job = p_job
    order by t.tick desc
    limit 1;
    -- A worker holds the row while it does the job, or has claimed it for some seconds.
    perform from fleet.ticks as t where t.job = p_job and t.tick = v_last.tick for update skip locked;
    v_now := clock_timestamp();
    if v_last.tick is not null and (
        not found or v_last.finished_at is null and v_last.started_at is not null and v_last.claimable_at > v_now
        and v_last.claimable_at <= v_now + interval '10 seconds' and v_last.last_error is null
    ) then
        return 'running';
    end if;
    v_tick := floor((extract(epoch from v_now) + 0.5 - v_schedule.offset_s) / v_schedule.cadence_s);
    if v_last.tick is null or v_last.finished_at is not null and v_last.tick < v_tick then
        insert into fleet.ticks (job, tick, enqueued_at, claimable_at, asked_at)
        values (p_job, v_tick, v_now, v_now, v_now);
    else
        -- The tick of this time is done, or waits for its next attempt: it is run again.
        update fleet.ticks as t
        set
            done_before = case when t.outcome = 'done' then t.finished_at else t.done_before end,
            enqueued_at = v_now, claimable_at = v_now, asked_at = v_now, attempts = 0, started_at = null,
            finished_at = null, outcome = null, last_error = null
        where t.job = p_job and t.tick = v_last.tick;
    end if;
    perform fleet.record_action('schedules run', p_typed_by, p_reason, jsonb_build_object('job', p_job));
    return 'asked';
end
$$;

revoke all on function fleet.run_schedule(text, text, text) from public, anon, authenticated, service_role;
comment on function fleet.run_schedule(text, text, text) is
    'Has a worker do the job once, now, also while it is paused; its timetable stays as it is. Notes who wanted it and '
    'why. Returns asked; running, if a worker does it at this moment; or never_fired, if no scheduler knows the job.';
