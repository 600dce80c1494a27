-- Definer: the worker has no right to the table itself.
create or replace function fleet.fail_tick(
    p_job text,
    p_tick bigint,
    p_attempt integer,
    p_error text,
    p_now timestamptz default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz;
begin
    perform 1
    from fleet.ticks as t
    where t.job = p_job and t.tick = p_tick and t.attempts = p_attempt and t.finished_at is null
    for update;
    if not found then
        return false;
    end if;
    v_now := coalesce(p_now, clock_timestamp());
    if p_attempt >= 3 then
        perform fleet.end_tick(p_job, p_tick, 'failed', p_error, v_now);
        return true;
    end if;
    update fleet.ticks as t
    set last_error = p_error, claimable_at = v_now + interval '2 seconds' * p_attempt
    where t.job = p_job and t.tick = p_tick;
    return false;
end
$$;

revoke all on function fleet.fail_tick(text, bigint, integer, text, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.fail_tick(text, bigint, integer, text, timestamptz) is
    'Records that an attempt raised an error; returns whether it was the third and last. Until then the tick can be '
    'claimed again after a pause.';
