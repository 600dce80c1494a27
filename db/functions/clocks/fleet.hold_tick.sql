-- Definer: the worker has no right to the table itself.
create or replace function fleet.hold_tick(p_job text, p_tick bigint, p_attempt integer)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    perform 1
    from fleet.ticks as t
    where t.job = p_job and t.tick = p_tick and t.attempts = p_attempt and t.finished_at is null
    for update skip locked;
    return found;
end
$$;

revoke all on function fleet.hold_tick(text, bigint, integer) from public, anon, authenticated, service_role;
comment on function fleet.hold_tick(text, bigint, integer) is
    'Holds a claimed tick''s row until the caller''s transaction ends. The job runs meanwhile, and the lock of a '
    'worker that dies ends with its session.';
