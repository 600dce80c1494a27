-- Definer: the worker may finish calls, not write the outbox or the inbox.
create or replace function fleet.finish_provider_call(
    p_id bigint, p_attempt integer, p_result jsonb, p_now timestamptz default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_event_id bigint;
    v_provider text;
    v_told jsonb := p_result -> 'event';
begin
    update fleet.provider_calls as c
    set state = 'done', result = p_result - 'event', finished_at = v_now, lease_until = null, last_error = null
    where c.id = p_id and c.attempts = p_attempt and c.state = 'pending'
    returning c.event_id, c.provider into v_event_id, v_provider;
    if not found then
        return false;
    end if;
    -- If another session holds the event, it is woken when its wait is over.
    update fleet.inbox_events as e
    set state = 'pending', attempts = 0, next_attempt_at = v_now
    where e.id = any(array(
        select w.id
        from fleet.inbox_events as w
        where w.id = v_event_id and w.state = 'waiting'
            and w.reason in ('no_answer_yet', 'not_paid_yet', 'unknown_token_yet', 'dead_call')
        for no key update skip locked
    ));
    if v_told is not null then
        perform fleet.store_events(
            array[v_provider], array[v_told ->> 'id'], array[v_told ->> 'type'],
            array[convert_to(v_told ->> 'payload', 'UTF8')], array[sha256(convert_to(v_told ->> 'payload', 'UTF8'))],
            array['pending'], array[null]
        );
    end if;
    return true;
end
$$;

revoke all on function fleet.finish_provider_call(bigint, integer, jsonb, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.finish_provider_call(bigint, integer, jsonb, timestamptz) is
    'Stores the answer of a call and wakes the event that waits for it. False if the attempt is not the newest one any '
    'more: the worker was given up meanwhile, and another makes the call. What the answer says happened (event: id, '
    'type and payload) is stored as an event of its provider.';
