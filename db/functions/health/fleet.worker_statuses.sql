-- Definer: the process roles have no right to the table itself.
create or replace function fleet.worker_statuses()
returns table (
    worker text,
    started_at timestamptz,
    reported_at timestamptz,
    last_doorbell_at timestamptz,
    batches bigint,
    events bigint,
    apply_ms_total double precision,
    apply_buckets bigint[],
    is_alive boolean
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        r.worker,
        r.started_at,
        r.reported_at,
        r.last_doorbell_at,
        r.batches,
        r.events,
        r.apply_ms_total,
        r.apply_buckets,
        -- A report dated later than now does not count as alive: the clock was ahead when it was stored.
        r.reported_at between clock_timestamp() - interval '10 seconds' and clock_timestamp() + interval '10 seconds'
    from fleet.worker_reports as r
    order by r.worker
$$;

revoke all on function fleet.worker_statuses() from public, anon, authenticated, service_role;
comment on function fleet.worker_statuses() is
    'What each worker process of the last hour reported. A process that missed five reports, or whose report is dated '
    'later than now, counts as not alive.';
