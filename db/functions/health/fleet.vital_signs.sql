-- Definer: web may see how the fleet is, not the tables behind it.
create or replace function fleet.vital_signs()
returns jsonb
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select jsonb_build_object(
        'events',
        (
            select coalesce(
                jsonb_agg(jsonb_build_object('provider', c.provider, 'state', c.state, 'events', c.events)), '[]'
            )
            from fleet.event_counts() as c
        ),
        'oldest_pending_s',
        (
            select extract(epoch from clock_timestamp() - e.received_at)
            from fleet.inbox_events as e
            where e.state = 'pending'
            order by e.id
            limit 1
        ),
        'backlog_s', fleet.backlog_seconds(),
        -- How far the latest of the stored times is ahead of now: if it is, the clock has been set back since.
        'clock_behind_s',
        greatest(
            0,
            extract(
                epoch from greatest(
                    (select max(s.fired_at) from fleet.schedules as s),
                    (select max(r.reported_at) from fleet.worker_reports as r),
                    (select max(r.reported_at) from fleet.web_reports as r),
                    (select e.received_at from fleet.inbox_events as e order by e.id desc limit 1),
                    (select h.counted_from from fleet.recent_gifts_horizon as h),
                    p.last_new_at,
                    p.last_full_at
                ) - clock_timestamp()
            )
        ),
        'held',
        (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'reason', h.reason,
                        'events', h.events,
                        'oldest_s', extract(epoch from clock_timestamp() - h.oldest_at)
                    )
                ),
                '[]'
            )
            from fleet.held_counts() as h
        ),
        'frozen',
        (
            select jsonb_build_object(
                'purchases', z.purchases, 'coins', z.coins, 'freezes', z.freezes,
                'oldest_s', extract(epoch from clock_timestamp() - z.oldest_at)
            )
            from fleet.freeze_counts() as z
        ),
        'failing',
        (
            select jsonb_build_object('events', count(*), 'longest_s', max(f.failing_s))
            from fleet.passing_failures(p_limit => 10000) as f
        ),
        'calls', (select coalesce(jsonb_agg(to_jsonb(c)), '[]') from fleet.provider_call_counts() as c),
        'backfills', (select coalesce(jsonb_agg(to_jsonb(b)), '[]') from fleet.backfill_statuses() as b),
        'inquiries', (select coalesce(jsonb_agg(to_jsonb(a)), '[]') from fleet.inquiry_counts() as a),
        'paused_calls',
        (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'kind', s.kind, 'paused_s', extract(epoch from clock_timestamp() - s.paused_at)
                    )
                ),
                '[]'
            )
            from fleet.call_pauses as s
        ),
        'paused_schedules',
        (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object('job', s.job, 'paused_s', extract(epoch from clock_timestamp() - s.paused_at))
                ),
                '[]'
            )
            from fleet.schedule_pauses as s
        ),
        'drift', p.violations,
        'last_new_proof_s', extract(epoch from clock_timestamp() - p.last_new_at),
        'last_full_proof_s', extract(epoch from clock_timestamp() - p.last_full_at),
        'schedules',
        (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'job', s.job,
                        'missed', s.missed_total,
                        'failed', s.failed_total,
                        'fired_age_s', extract(epoch from clock_timestamp() - s.fired_at),
                        'done_age_s', extract(epoch from clock_timestamp() - s.last_done_at)
                    )
                ),
                '[]'
            )
            from fleet.schedule_statuses() as s
        ),
        'workers',
        (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'worker', w.worker,
                        'report_age_s', extract(epoch from clock_timestamp() - w.reported_at),
                        'events', w.events,
                        'apply_ms_total', w.apply_ms_total,
                        'apply_buckets', w.apply_buckets,
                        'detail', w.detail
                    )
                    order by w.worker
                ),
                '[]'
            )
            from fleet.worker_reports as w
        )
    )
    from fleet.proof_status() as p
$$;

revoke all on function fleet.vital_signs() from public, anon, authenticated, service_role;
comment on function fleet.vital_signs() is
    'The state of the fleet: events by state, age of the oldest pending one, drift, what is held or frozen, calls that '
    'are not done, what stores ask, how far each provider''s history is read, schedules, workers. The cost grows with '
    'what is held, frozen or open, and not with history.';
