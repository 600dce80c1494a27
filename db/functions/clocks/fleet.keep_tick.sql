-- Definer: the worker has no right to the table itself.
create or replace function fleet.keep_tick(p_job text, p_tick bigint, p_attempt integer)
returns boolean
language plpgsql
volatile
security definer
-- The next renewal replaces a lost one, so the commit does not wait for the disk.
set synchronous_commit = off
set search_path = '', pg_temp
as $$
begin
    update fleet.ticks as t
    set claimable_at = clock_timestamp() + interval '9 seconds'
    where t.job = p_job and t.tick = p_tick and t.attempts = p_attempt and t.finished_at is null;
    return found;
end
$$;

revoke all on function fleet.keep_tick(text, bigint, integer) from public, anon, authenticated, service_role;
comment on function fleet.keep_tick(text, bigint, integer) is
    'Keeps a claimed tick from other workers for 9 s, for a worker that has no session to hold its row with while the '
    'job runs. Called again every 3 s.';
