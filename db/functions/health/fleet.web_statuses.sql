-- Definer: the process roles have no right to the table itself.
create or replace function fleet.web_statuses()
returns table (web text, started_at timestamptz, reported_at timestamptz, is_alive boolean, detail jsonb)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        r.web,
        r.started_at,
        r.reported_at,
        -- A report dated later than now does not count as alive: the clock was ahead when it was stored.
        r.reported_at between clock_timestamp() - interval '35 seconds' and clock_timestamp() + interval '35 seconds',
        r.detail
    from fleet.web_reports as r
    order by r.web
$$;

revoke all on function fleet.web_statuses() from public, anon, authenticated, service_role;
comment on function fleet.web_statuses() is
    'What each web process of the last hour reported, and the newest report of all; a process that missed three '
    'reports counts as not alive.';
