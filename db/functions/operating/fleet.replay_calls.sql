-- Definer: the console has no right to the tables themselves.
create or replace function fleet.replay_calls(p_call_ids bigint[], p_typed_by text, p_reason text, p_detail jsonb)
returns table (call_id bigint, skipped text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_replayed bigint[];
begin
    if cardinality(p_call_ids) > 500 then
        raise exception 'at most 500 calls'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    perform
    from fleet.provider_calls as c
    where c.id = any(p_call_ids)
    order by c.id
    for no key update;
    v_now := clock_timestamp();
    v_replayed := array(
        select c.id
        from fleet.provider_calls as c
        where c.id = any(p_call_ids)
            -- Messages to the app have a command of their own, and a pause.
            and c.kind <> 'app.deliver'
            and (
                c.state = 'dead'
                -- It waits for its next attempt, and no worker makes it at this moment.
                or c.state = 'pending' and coalesce(c.lease_until <= v_now, true)
                -- A refund that the provider took and that came to nothing.
                or c.state = 'done' and exists (
                    select
                    from fleet.refunds as r
                    where r.provider = c.provider
                        and r.refund_id = c.result ->> 'refund_id'
                        and r.status in ('failed', 'canceled')
                )
            )
        order by c.id
    );
    update fleet.provider_calls as c
    set
        -- The number of attempts goes on: the answer of an old attempt is never taken for a new one's.
        state = 'pending', failures = 0, next_attempt_at = v_now, dated_at = v_now, lease_until = null,
        finished_at = null,
        -- As much time as it had at first.
        give_up_at = v_now + (c.give_up_at - c.created_at)
    where c.id = any(v_replayed);
    -- The events that wait for them wait for an answer again.
    update fleet.inbox_events as e
    set reason = 'no_answer_yet'
    where e.id = any(array(
        select w.id
        from fleet.inbox_events as w
        where w.id in (select c.event_id from fleet.provider_calls as c where c.id = any(v_replayed))
            and w.state = 'waiting' and w.reason = 'dead_call'
        for no key update skip locked
    ));
    if cardinality(v_replayed) > 0 then
        insert into fleet.operator_actions (action, typed_by, reason, detail, call_ids)
        values ('replay calls', p_typed_by, btrim(p_reason), p_detail, v_replayed);
    end if;
    return query
    select
        p.call_id,
        case
            when p.call_id = any(v_replayed) then null
            when c.id is null then 'unknown'
            when c.kind = 'app.deliver' then 'to_the_app'
            when c.state = 'pending' then 'in_hand'
            else 'done'
        end
    from unnest(p_call_ids) as p (call_id)
    left join fleet.provider_calls as c on c.id = p.call_id
    order by p.call_id;
end
$$;

revoke all on function fleet.replay_calls(bigint[], text, text, jsonb) from public, anon, authenticated, service_role;
comment on function fleet.replay_calls(bigint[], text, text, jsonb) is
    'Has up to 500 calls to providers made again, now, with a note of who did it and why: those that are dead, that '
    'wait for their next attempt, and refunds that were taken and came to nothing. '
    'Events that wait for them go on with the answer. Returns null for each of them, else '
    'why it was left: in_hand (a worker makes it), done, to_the_app (replay deliveries), unknown.';
