-- Definer: operators may decide, not write the inbox.
create or replace function public.attribute_held_event(
    p_event_id bigint,
    p_profile_id uuid,
    p_who text,
    p_reason text
)
returns table (event_id bigint, state text, reason text, waits_for text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_who text := fleet.deciding_person(p_who);
    v_payment_id bigint;
    v_event record;
    v_decision_id bigint;
    v_now timestamptz;
begin
    if coalesce(btrim(p_reason), '') = '' then
        raise exception 'an attribution needs a reason' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    v_payment_id := fleet.lock_held_event(p_event_id, p_profile_id);
    v_now := clock_timestamp();
    if exists (
        select 1
        from fleet.decisions as d
        where d.event_id = p_event_id and d.verb = 'attribute' and lower(d.who) = lower(v_who)
    ) then
        perform fleet.raise_refusal('decided_before');
    end if;
    select
        e.provider, e.state, e.reason, e.payload is not null as is_readable, p.rejection,
        cp.id as purchase_id, cp.decision, cp.status
    into v_event
    from fleet.inbox_events as e
    left join public.coin_purchases as cp on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
    left join fleet.payments as p on p.id = v_payment_id
    where e.id = p_event_id;
    if v_event.state <> 'held' or v_event.rejection is not null or v_event.decision is not null
        or exists (select 1 from fleet.payment_halves as h where h.payment_id = v_payment_id and h.is_attributed)
    then
        perform fleet.raise_refusal('decided_meanwhile');
    end if;
    if v_event.reason <> 'unknown_buyer' or not v_event.is_readable then
        raise exception 'event % is not held for want of a buyer, or can''t be read any more', p_event_id
            using errcode = 'invalid_parameter_value';
    end if;
    if not exists (select 1 from public.profiles as pr where pr.id = p_profile_id) then
        perform fleet.raise_refusal('unknown_profile');
    end if;
    insert into fleet.decisions (event_id, verb, outcome, who, reason, hold_reason, profile_id, decided_at)
    values (
        p_event_id, 'attribute', 'attributed', v_who, btrim(p_reason), v_event.reason, p_profile_id, v_now
    )
    returning id into v_decision_id;
    insert into fleet.payment_halves (provider, provider_event_id, payment_id, profile_id, is_attributed)
    values (v_event.provider, 'decision:' || v_decision_id, v_payment_id, p_profile_id, true);
    update fleet.store_payments as s
    set attributed_to = p_profile_id, is_attributed_by_person = true
    where s.payment_id = v_payment_id;
    if v_event.purchase_id is not null then
        perform fleet.amend_purchases(array[v_payment_id], v_now);
    else
        -- As if it had just come: claimed, read and judged anew, under all the locks and rules of a first time.
        update fleet.inbox_events as e
        set state = 'pending', reason = null, attempts = 0, next_attempt_at = v_now
        where e.id = p_event_id and e.state = 'held';
    end if;
    return query
    select e.id, e.state, e.reason, case when e.state = 'pending' then 'judgement' end
    from fleet.inbox_events as e
    where e.id = p_event_id;
end
$$;

revoke all on function public.attribute_held_event(bigint, uuid, text, text)
from public, anon, authenticated, service_role;
comment on function public.attribute_held_event(bigint, uuid, text, text) is
    'A person says whose payment an event tells of that is held for want of a buyer; then it is judged as if it had '
    'just come, by all rules. Raises CF006 for nobody''s profile, CF011 if this person has said so before, CF012 if '
    'it was decided otherwise meanwhile.';
