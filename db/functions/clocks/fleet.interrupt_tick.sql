-- Definer: the worker has no right to the table itself.
create or replace function fleet.interrupt_tick(
    p_job text,
    p_tick bigint,
    p_attempt integer,
    p_error text,
    p_now timestamptz default null
)
returns boolean
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    update fleet.ticks as t
    set
        attempts = p_attempt - 1,
        last_error = p_error,
        claimable_at = coalesce(p_now, clock_timestamp()) + interval '5 seconds'
    where t.job = p_job and t.tick = p_tick and t.attempts = p_attempt and t.finished_at is null
    returning true
$$;

revoke all on function fleet.interrupt_tick(text, bigint, integer, text, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.interrupt_tick(text, bigint, integer, text, timestamptz) is
    'Records that an attempt was stopped by something that passes, and takes the attempt back: the tick can be claimed '
    'again 5 s later, as often as it takes. Returns null if another worker has the tick or it is done.';
