create or replace function fleet.add_tick(
    p_job text,
    p_cadence_s integer,
    p_offset_s integer,
    p_now timestamptz default null
)
returns table (tick bigint)
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_schedule fleet.schedules;
    v_now timestamptz;
    v_tick bigint;
    v_last_tick bigint;
    v_missed bigint := 0;
    v_is_paused boolean;
begin
    insert into fleet.schedules (job, cadence_s, offset_s)
    values (p_job, p_cadence_s, p_offset_s)
    on conflict (job) do nothing;
    select s.* into v_schedule from fleet.schedules as s where s.job = p_job for update;
    v_now := coalesce(p_now, clock_timestamp());
    -- A call up to half a second early counts as on time: else a scheduler whose clock is ahead would be late by a
    -- whole cadence.
    v_tick := floor((extract(epoch from v_now) + 0.5 - p_offset_s) / p_cadence_s);

    -- After a change of cadence, ticks of the old one have other numbers; the next tick does what they left undone.
    if (v_schedule.cadence_s, v_schedule.offset_s) <> (p_cadence_s, p_offset_s) then
        delete from fleet.ticks as t where t.job = p_job;
        v_schedule.paused_tick := null;
    end if;
    -- The same holds for ticks of a clock that was ahead and has been set right, or of another server: the next tick
    -- would wait until their time is reached. A tick that is still to do is done first.
    delete from fleet.ticks as t where t.job = p_job and t.tick > v_tick + 1 and t.finished_at is not null;
    select max(t.tick) into v_last_tick from fleet.ticks as t where t.job = p_job;
    v_is_paused := exists (select from fleet.schedule_pauses as p where p.job = p_job);
    if not v_is_paused and (v_last_tick is null or v_tick > v_last_tick) then
        insert into fleet.ticks (job, tick, missed, enqueued_at, claimable_at)
        values (
            p_job,
            v_tick,
            -- What a person paused was not missed.
            coalesce(greatest(0, v_tick - greatest(v_last_tick, v_schedule.paused_tick) - 1), 0),
            v_now,
            v_now
        )
        on conflict do nothing
        returning missed into v_missed;
    end if;
    update fleet.schedules as s
    set
        cadence_s = p_cadence_s,
        offset_s = p_offset_s,
        fired_at = v_now,
        paused_tick = case when v_is_paused then v_tick else v_schedule.paused_tick end,
        missed_total = s.missed_total + coalesce(v_missed, 0)
    where s.job = p_job;

    return query
    select t.tick
    from fleet.ticks as t
    where t.job = p_job and t.finished_at is null
        and (t.asked_at is not null or not v_is_paused)
        -- No pause is longer than 5 s: a later time comes from a clock that was ahead.
        and (t.claimable_at <= v_now or t.claimable_at > v_now + interval '10 seconds');
end
$$;

revoke all on function fleet.add_tick(text, integer, integer, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.add_tick(text, integer, integer, timestamptz) is
    'Opens the job''s tick as fleet.open_tick does, at a time that the caller gives, unless it was opened or an '
    'earlier tick is still to do, or the job is paused. Returns the tick to ring a worker for, if any. Ticks that '
    'nobody opened are counted as missed, but for those of a pause.';
