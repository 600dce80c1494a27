-- Definer: the worker has no right to the table itself.
create or replace function fleet.report_work(
    p_worker text,
    p_uptime_s double precision,
    p_doorbell_age_s double precision,
    p_report jsonb
)
returns void
language sql
volatile
security definer
-- The next report replaces a lost one, so the commit does not wait for the disk.
set synchronous_commit = off
set search_path = '', pg_temp
as $$
    insert into fleet.worker_reports as r (
        worker, started_at, last_doorbell_at, batches, events, apply_ms_total, apply_buckets, detail
    )
    values (
        p_worker,
        clock_timestamp() - p_uptime_s * interval '1 second',
        clock_timestamp() - p_doorbell_age_s * interval '1 second',
        (p_report ->> 'batches')::bigint,
        (p_report ->> 'events')::bigint,
        (p_report ->> 'apply_ms_total')::double precision,
        array(select b::bigint from jsonb_array_elements_text(p_report -> 'apply_buckets') as b),
        p_report -> 'detail'
    )
    on conflict (worker) do update
    set
        -- A new process of the same name has its own start; within one process the start stays as first reported.
        started_at = case
            when abs(extract(epoch from excluded.started_at - r.started_at)) < 1 then r.started_at
            else excluded.started_at
        end,
        reported_at = clock_timestamp(),
        last_doorbell_at = excluded.last_doorbell_at,
        batches = excluded.batches,
        events = excluded.events,
        apply_ms_total = excluded.apply_ms_total,
        apply_buckets = excluded.apply_buckets,
        detail = excluded.detail
$$;

revoke all on function fleet.report_work(text, double precision, double precision, jsonb)
from public, anon, authenticated, service_role;
comment on function fleet.report_work(text, double precision, double precision, jsonb) is
    'Stores a worker process''s report: the outcomes of events since the process started. The worker passes ages, not '
    'times, so that all times are by the database''s clock.';
