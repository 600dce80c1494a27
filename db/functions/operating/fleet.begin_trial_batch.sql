-- Definer: the worker has no right to make an event pending that is not, nor to read its payload, unless a person asked
-- for a trial of it.
create or replace function fleet.begin_trial_batch(p_trial_id bigint, p_from integer, p_limit integer)
returns table (
    id bigint, skipped text, reason_before text, provider text, provider_event_id text, event_type text, payload bytea,
    received_at timestamptz, attempts integer
)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_event_ids bigint[];
    v_states text[];
    v_before jsonb;
begin
    select t.event_ids[p_from : p_from + p_limit - 1], t.states[p_from : p_from + p_limit - 1]
    into v_event_ids, v_states
    from fleet.replay_trials as t
    where t.id = p_trial_id and t.finished_at is null;
    if not found then
        return;
    end if;
    v_before := (
        select jsonb_object_agg(e.id, e.reason) from fleet.inbox_events as e where e.id = any(v_event_ids)
    );
    return query
    select
        r.event_id, r.skipped, v_before ->> r.event_id::text, e.provider, e.provider_event_id, e.event_type,
        case when r.skipped is null then e.payload end, e.received_at, e.attempts
    from fleet.replay_events(v_event_ids, v_states, 'a trial', 'dry run', '{}') as r
    left join fleet.inbox_events as e on e.id = r.event_id
    order by r.event_id;
end
$$;

revoke all on function fleet.begin_trial_batch(bigint, integer, integer)
from public, anon, authenticated, service_role;
comment on function fleet.begin_trial_batch(bigint, integer, integer) is
    'Makes up to 500 events of an open trial pending as fleet.replay_events does, beginning with the one at this '
    'place, in a transaction that the caller rolls back. Returns each with its payload, or why it is left.';
