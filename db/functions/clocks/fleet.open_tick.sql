-- Definer: the scheduler has no right to the tables themselves.

-- The signature of the last release took a time: its holder could open a tick of the year 2999, after which none
-- would be due. It goes as this one comes, in one transaction; schedulers of that release call this one.
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
-- Here too, not in policies/ alone, which come later: schedulers go on calling while the release runs.
do $$
begin
    if to_regrole('coinfleet_scheduler') is not null then
        grant execute on function fleet.open_tick(text, integer, integer) to coinfleet_scheduler;
    end if;
end
$$;
comment on function fleet.open_tick(text, integer, integer) is
    'Opens the job''s tick of this moment unless it was opened, or an earlier one is still to do; returns the tick to '
    'ring a worker for, if any. Ticks that nobody opened are counted as missed.';
