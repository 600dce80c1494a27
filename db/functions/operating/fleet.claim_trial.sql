-- Definer: the worker has no right to the table itself.
create or replace function fleet.claim_trial()
returns table (trial_id bigint, event_ids bigint[], states text[])
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_trial fleet.replay_trials;
begin
    select t.* into v_trial
    from fleet.replay_trials as t
    where t.finished_at is null
        and (
            t.lease_until is null
            or t.lease_until <= clock_timestamp()
            -- No lease is longer: a clock that was ahead dated it.
            or t.lease_until > clock_timestamp() + interval '3 minutes'
        )
    order by t.id
    limit 1
    for update skip locked;
    if not found then
        return;
    end if;
    if v_trial.attempts >= 3 then
        perform fleet.finish_trial(v_trial.id, null, 'no worker lived to finish it');
        return;
    end if;
    update fleet.replay_trials as t
    set attempts = t.attempts + 1, lease_until = clock_timestamp() + interval '2 minutes'
    where t.id = v_trial.id;
    return query select v_trial.id, v_trial.event_ids, v_trial.states;
end
$$;

revoke all on function fleet.claim_trial() from public, anon, authenticated, service_role;
comment on function fleet.claim_trial() is
    'Gives the oldest trial that is to be made to the caller, for two minutes; no row if there is none. One that '
    'killed three workers is given up.';
