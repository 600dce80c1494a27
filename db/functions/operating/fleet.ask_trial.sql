-- Definer: the console has no right to write the table itself.
create or replace function fleet.ask_trial(p_event_ids bigint[], p_states text[], p_typed_by text)
returns bigint
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    insert into fleet.replay_trials (event_ids, states, asked_by)
    values (p_event_ids, p_states, p_typed_by)
    returning id
$$;

revoke all on function fleet.ask_trial(bigint[], text[], text) from public, anon, authenticated, service_role;
comment on function fleet.ask_trial(bigint[], text[], text) is
    'Has a worker try what a replay of up to 10,000 events would do, each in the state that it was seen in. Returns '
    'the number of the trial.';
