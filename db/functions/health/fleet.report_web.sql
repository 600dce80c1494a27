-- Definer: the receiver has no right to the table itself.
create or replace function fleet.report_web(p_web text, p_uptime_s double precision, p_report jsonb)
returns timestamptz
language sql
volatile
security definer
-- The next report replaces a lost one, so the commit does not wait for the disk.
set synchronous_commit = off
set search_path = '', pg_temp
as $$
    insert into fleet.web_reports as r (web, started_at, detail)
    values (p_web, clock_timestamp() - p_uptime_s * interval '1 second', p_report)
    on conflict (web) do update
    set started_at = excluded.started_at, reported_at = clock_timestamp(), detail = excluded.detail
    returning clock_timestamp()
$$;

revoke all on function fleet.report_web(text, double precision, jsonb)
from public, anon, authenticated, service_role;
comment on function fleet.report_web(text, double precision, jsonb) is
    'Stores a web process''s report. Returns the database''s time, from which the process learns how far its own clock '
    'is off.';
