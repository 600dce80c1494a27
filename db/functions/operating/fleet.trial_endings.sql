-- Definer: the worker has no right to the table itself.
create or replace function fleet.trial_endings(p_event_ids bigint[])
returns table (event_id bigint, state text, reason text)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select e.id, e.state, e.reason from fleet.inbox_events as e where e.id = any(p_event_ids) order by e.id
$$;

revoke all on function fleet.trial_endings(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.trial_endings(bigint[]) is 'What would become of these events, inside of a trial.';
