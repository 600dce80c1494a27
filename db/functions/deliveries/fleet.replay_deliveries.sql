-- Definer: the console has no right to the tables themselves.
create or replace function fleet.replay_deliveries(
    p_call_ids bigint[],
    p_typed_by text,
    p_reason text,
    p_detail jsonb
)
returns table (sent bigint[], ended_pause boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_sent bigint[];
    v_ended boolean;
begin
    if cardinality(p_call_ids) > 5000 then
        raise exception 'at most 5000 messages'
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    delete from fleet.call_pauses as p where p.kind = 'app.deliver';
    v_ended := found;
    with again as (
        update fleet.provider_calls as c
        set
            state = 'pending', attempts = 0, failures = 0, next_attempt_at = clock_timestamp(),
            dated_at = clock_timestamp(),            lease_until = null, finished_at = null, result = null
        where c.id = any(p_call_ids) and c.kind = 'app.deliver' and c.request <> '{}'
            -- One that a worker sends at this moment is left to it.
            and (c.state <> 'pending' or coalesce(c.lease_until <= clock_timestamp(), true))
        returning c.id
    )
    select coalesce(array_agg(a.id order by a.id), '{}') into v_sent from again as a;
    if v_ended or cardinality(v_sent) > 0 then
        insert into fleet.operator_actions (action, typed_by, reason, detail, call_ids)
        values (
            'replay deliveries', p_typed_by, btrim(p_reason), p_detail || jsonb_build_object('ended_pause', v_ended),
            v_sent
        );
    end if;
    return query select v_sent, v_ended;
end
$$;

revoke all on function fleet.replay_deliveries(bigint[], text, text, jsonb)
from public, anon, authenticated, service_role;
comment on function fleet.replay_deliveries(bigint[], text, text, jsonb) is
    'Has up to 5,000 messages to the app sent again, under their ids, and ends the pause that the app asked for, with '
    'a note of who did it and why. Returns those that are sent, and whether there was a pause; one that a worker sends '
    'at this moment, or whose text was erased, is left.';
