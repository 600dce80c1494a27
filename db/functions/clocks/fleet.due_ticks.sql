-- Definer: the worker has no right to the table itself.
create or replace function fleet.due_ticks(p_now timestamptz default null)
returns table (job text, tick bigint)
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select t.job, t.tick
    from fleet.ticks as t
    where t.finished_at is null
        -- No pause is longer than 5 s: a later time comes from a clock that was ahead.
        and (
            t.claimable_at <= coalesce(p_now, clock_timestamp())
            or t.claimable_at > coalesce(p_now, clock_timestamp()) + interval '10 seconds'
        )
        and (
            t.asked_at is not null
            or not exists (select from fleet.schedule_pauses as p where p.job = t.job)
        )
    order by t.claimable_at
$$;

revoke all on function fleet.due_ticks(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.due_ticks(timestamptz) is
    'The ticks that a worker may claim, at most one per job that is not paused; some may be running, their rows locked '
    'by another worker.';
