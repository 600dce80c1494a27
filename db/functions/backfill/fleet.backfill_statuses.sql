-- Definer: the process roles have no right to the tables themselves.
create or replace function fleet.backfill_statuses()
returns table (
    provider text, found bigint, missed bigint, newest_missed_s double precision, reached_s double precision,
    failing_s double precision, last_error text
)
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select
        b.provider,
        sum(b.found)::bigint,
        sum(b.missed)::bigint,
        -- The newest by its index.
        (
            select extract(epoch from clock_timestamp() - f.found_at)::double precision
            from fleet.found_events as f
            where f.provider = b.provider and f.is_missed
            order by f.found_at desc
            limit 1
        ),
        extract(
            epoch from clock_timestamp() - max(coalesce(b.reached_at, b.started_at)) filter (where b.is_scheduled)
        )::double precision,
        extract(epoch from clock_timestamp() - max(b.failing_since) filter (where b.is_scheduled))::double precision,
        max(b.last_error) filter (where b.is_scheduled)
    from fleet.backfills as b
    group by b.provider
    order by b.provider
$$;

revoke all on function fleet.backfill_statuses() from public, anon, authenticated, service_role;
comment on function fleet.backfill_statuses() is
    'Per provider whose history was ever read: how many events were found and missed, the age of the newest missed '
    'one, how long ago is the time up to which the timetable has read, and since when and why it fails.';
