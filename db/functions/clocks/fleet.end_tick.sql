create or replace function fleet.end_tick(p_job text, p_tick bigint, p_outcome text, p_error text, p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    update fleet.ticks as t
    set outcome = p_outcome, last_error = coalesce(p_error, t.last_error), finished_at = p_now
    where t.job = p_job and t.tick = p_tick;

    update fleet.schedules as s
    set failed_total = s.failed_total + 1
    where s.job = p_job and p_outcome = 'failed'
$$;

revoke all on function fleet.end_tick(text, bigint, text, text, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.end_tick(text, bigint, text, text, timestamptz) is
    'Writes the outcome of a tick whose row the caller holds, and counts failures.';
