-- Definer: the scheduler has no right to the tables themselves.

-- In the last release this function took a time, so its caller could open a tick of the year 2999, after which none
-- would be due. The old signature is dropped in the transaction that makes the new one; schedulers of that release
-- call the new one.
drop function if exists fleet.open_tick(text, integer, integer, timestamptz);

create or replace function fleet.open_tick(p_job text, p_cadence_s integer, p_offset_s integer default 0)
returns table (tick bigint)
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select t.tick from fleet.add_tick(p_job, p_cadence_s, p_offset_s) as t
$$;

revoke all on function fleet.open_tick(text, integer, integer) from public, anon, authenticated, service_role;
-- Granted here and not only in policies/, which are applied later: schedulers go on calling while the release runs.
do $$
begin
    if to_regrole('coinfleet_scheduler') is not null then
        grant execute on function fleet.open_tick(text, integer, integer) to coinfleet_scheduler;
    end if;
end
$$;
comment on function fleet.open_tick(text, integer, integer) is
    'Opens the job''s tick of this moment, unless it was opened, an earlier tick is still to do, or the job is paused. '
    'Returns the tick to ring a worker for, if any. Ticks that nobody opened are counted as missed.';
