-- Definer: the worker has no right to the table itself.
create or replace function fleet.report_worker(
    p_worker text,
    p_uptime_s double precision,
    p_doorbell_age_s double precision,
    p_batches bigint,
    p_events bigint,
    p_apply_ms_total double precision,
    p_apply_buckets bigint[]
)
returns void
language sql
volatile
security definer
-- The next report replaces a lost one, so the commit does not wait for the disk.
set synchronous_commit = off
set search_path = '', pg_temp
as $$
    insert into fleet.worker_reports (
        worker, started_at, last_doorbell_at, batches, events, apply_ms_total, apply_buckets
    )
    values (
        p_worker,
        clock_timestamp() - p_uptime_s * interval '1 second',
        clock_timestamp() - p_doorbell_age_s * interval '1 second',
        p_batches,
        p_events,
        p_apply_ms_total,
        p_apply_buckets
    )
    on conflict (worker) do update
    set
        reported_at = clock_timestamp(),
        last_doorbell_at = excluded.last_doorbell_at,
        batches = excluded.batches,
        events = excluded.events,
        apply_ms_total = excluded.apply_ms_total,
        apply_buckets = excluded.apply_buckets
$$;

revoke all on function
fleet.report_worker(text, double precision, double precision, bigint, bigint, double precision, bigint[])
from public, anon, authenticated, service_role;
comment on function
fleet.report_worker(text, double precision, double precision, bigint, bigint, double precision, bigint[]) is
    'For workers of an older release, as fleet.report_work: what a worker process applied since it started. The worker '
    'passes ages, not times.';
