-- Definer: the process roles have no right to the tables themselves.
create or replace function fleet.schedule_statuses()
returns table (
    job text,
    cadence_s integer,
    fired_at timestamptz,
    missed_total bigint,
    failed_total bigint,
    tick bigint,
    enqueued_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    attempts integer,
    outcome text,
    last_error text,
    last_done_at timestamptz
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        s.job,
        s.cadence_s,
        s.fired_at,
        s.missed_total,
        s.failed_total,
        t.tick,
        t.enqueued_at,
        t.started_at,
        t.finished_at,
        t.attempts,
        t.outcome,
        t.last_error,
        d.done_at
    from fleet.schedules as s
    left join lateral (
        select k.* from fleet.ticks as k where k.job = s.job order by k.tick desc limit 1
    ) as t on true
    left join lateral (
        -- A tick that a person has run again may have been done before.
        select case when k.outcome = 'done' then k.finished_at else k.done_before end as done_at
        from fleet.ticks as k
        where k.job = s.job and (k.outcome = 'done' or k.done_before is not null)
        order by k.tick desc
        limit 1
    ) as d on true
    order by s.job
$$;

revoke all on function fleet.schedule_statuses() from public, anon, authenticated, service_role;
comment on function fleet.schedule_statuses() is
    'Each job that was ever fired, with its newest tick and the time when it was last done.';
