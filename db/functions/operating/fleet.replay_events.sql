-- Definer: the console has no right to the tables themselves.
create or replace function fleet.replay_events(
    p_event_ids bigint[],
    p_states text[],
    p_typed_by text,
    p_reason text,
    p_detail jsonb
)
returns table (event_id bigint, skipped text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_locked bigint[];
    v_decided bigint[];
    v_replayed bigint[];
begin
    if cardinality(p_event_ids) > 500 or cardinality(p_event_ids) <> cardinality(p_states) then
        raise exception 'at most 500 events, each with the state that it was seen in'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    -- The lock of a claim: an event that a worker has in hand is left to it.
    v_locked := array(
        select e.id
        from fleet.inbox_events as e
        where e.id = any(p_event_ids)
        order by e.id
        for no key update skip locked
    );
    v_now := clock_timestamp();
    -- A person's decision about a purchase stands; the refund that it asked for may be under way.
    v_decided := array(
        select e.id
        from fleet.inbox_events as e
        where e.id = any(v_locked)
            and (
                e.reason = 'by_decision'
                or exists (
                    select 1
                    from public.coin_purchases as cp
                    where cp.payment_id = e.payment_id and cp.decision is not null and cp.granted_at is null
                )
                or exists (
                    select 1
                    from public.coin_purchases as cp
                    where cp.provider_event_id = e.provider_event_id
                        and cp.decision is not null and cp.granted_at is null
                )
            )
    );
    v_replayed := array(
        select e.id
        from fleet.inbox_events as e
        join unnest(p_event_ids, p_states) as p (event_id, state) on p.event_id = e.id
        where e.id = any(v_locked) and e.id <> all(v_decided) and e.state = p.state and e.payload is not null
        order by e.id
    );
    update fleet.inbox_events as e
    set
        state = 'pending', reason = null, attempts = 0, starts = 0, next_attempt_at = v_now, processed_at = null,
        last_error = null
    where e.id = any(v_replayed);
    delete from fleet.set_aside_events as s where s.event_id = any(v_replayed);
    -- What they asked for is asked for anew if there was no answer, or only that the provider does not know it.
    update fleet.provider_calls as c
    set
        state = 'pending', result = null, failures = 0, next_attempt_at = v_now, dated_at = v_now, lease_until = null,
        finished_at = null, give_up_at = v_now + (c.give_up_at - c.created_at)
    where c.id = any(array(
        select d.id
        from fleet.provider_calls as d
        where d.event_id = any(v_replayed)
            and (d.state = 'dead' or d.state = 'done' and d.result ->> 'unknown' is not null)
        for no key update skip locked
    ));
    if cardinality(v_replayed) > 0 then
        perform fleet.record_action('replay', p_typed_by, p_reason, p_detail, v_replayed);
    end if;
    return query
    select
        p.event_id,
        case
            when p.event_id = any(v_replayed) then null
            when e.id is null then 'unknown'
            when p.event_id <> all(v_locked) then 'in_hand'
            when e.payload is null then 'no_payload'
            when p.event_id = any(v_decided) then 'decided'
            else 'changed'
        end
    from unnest(p_event_ids) as p (event_id)
    left join fleet.inbox_events as e on e.id = p.event_id
    order by p.event_id;
end
$$;

revoke all on function fleet.replay_events(bigint[], text[], text, text, jsonb)
from public, anon, authenticated, service_role;
comment on function fleet.replay_events(bigint[], text[], text, text, jsonb) is
    'Makes up to 500 events pending again, each if it is still in the state that it was seen in, with a note of who '
    'did it and why; a dead call of such an event is made again, and one to which the provider knew no answer. '
    'Returns null for each event that is pending now, else why it was left: in_hand (a worker has it), '
    'no_payload (it can''t be read any more), decided (a person decided its purchase), changed, unknown.';
