-- Definer: the worker has no right to the table itself.
create or replace function fleet.finish_trial(p_trial_id bigint, p_outcome jsonb, p_error text)
returns void
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    update fleet.replay_trials as t
    set finished_at = clock_timestamp(), outcome = p_outcome, last_error = p_error, lease_until = null
    where t.id = p_trial_id and t.finished_at is null
$$;

revoke all on function fleet.finish_trial(bigint, jsonb, text) from public, anon, authenticated, service_role;
comment on function fleet.finish_trial(bigint, jsonb, text) is
    'Writes what came of a trial, or why it could not be made.';
