create or replace function fleet.reject_event(
    p_event_id bigint,
    p_who text,
    p_reason text,
    p_without_refund boolean
)
returns text
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_payment_id bigint := fleet.lock_held_event(p_event_id);
    v_now timestamptz := clock_timestamp();
    v_event record;
    v_refunds boolean;
    v_request jsonb;
    v_decision_id bigint;
begin
    if exists (
        select 1
        from fleet.decisions as d
        where d.event_id = p_event_id and d.verb = 'reject' and lower(d.who) = lower(p_who)
    ) then
        perform fleet.raise_refusal('decided_before');
    end if;
    select
        e.provider, e.state, e.reason, p.rejection, coalesce(p.held_minor, 1) as held_minor,
        case when cp.granted_at is null and cp.decision is null then cp.id end as purchase_id
    into v_event
    from fleet.inbox_events as e
    left join public.coin_purchases as cp on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
    left join fleet.payments as p on p.id = v_payment_id
    where e.id = p_event_id;
    if v_event.state <> 'held' or v_event.rejection is not null then
        perform fleet.raise_refusal('decided_meanwhile');
    end if;
    if v_event.purchase_id is not null then
        raise exception 'event % is held with purchase %: decide that', p_event_id, v_event.purchase_id
            using errcode = 'invalid_parameter_value';
    end if;
    v_refunds := not p_without_refund and v_event.held_minor > 0;
    if v_refunds then
        v_request := fleet.refund_request(v_event.provider, v_payment_id);
        if v_event.reason = 'id_conflict' or v_request is null then
            raise exception 'event % can''t be refunded from here: reject it without refund; %', p_event_id,
                case v_event.provider
                    when 'apple' then 'Apple refunds only customers who ask Apple'
                    else 'have it refunded at the provider'
                end
                using errcode = 'invalid_parameter_value';
        end if;
    end if;
    insert into fleet.decisions (event_id, verb, outcome, who, reason, hold_reason, decided_at)
    values (
        p_event_id, 'reject', case when v_refunds then 'refund_requested' else 'closed' end, p_who, btrim(p_reason),
        v_event.reason, v_now
    )
    returning id into v_decision_id;
    insert into fleet.payments as p (id, rejection)
    values (v_payment_id, case when v_refunds then 'refund' else 'no_refund' end)
    on conflict (id) do update set rejection = excluded.rejection;
    if v_refunds then
        perform fleet.request_refund(v_decision_id, v_request);
        perform fleet.tell_rejected_payment(p_event_id, v_payment_id);
        return 'refund';
    end if;
    update fleet.inbox_events as e
    set
        state = case when e.state = 'held' then 'rejected' else 'applied' end,
        reason = case when e.state = 'held' then 'by_decision' end,
        processed_at = v_now
    -- With it its other events, and what was refunded of it so far.
    where e.payment_id = v_payment_id and (e.state = 'held' or (e.state = 'waiting' and e.reason = 'no_purchase_yet'))
        and e.event_type <> 'charge.failed';
    return null;
end
$$;

revoke all on function fleet.reject_event(bigint, text, text, boolean) from public, anon, authenticated, service_role;
comment on function fleet.reject_event(bigint, text, text, boolean) is
    'Rejects a payment that is held without a purchase, in the name of somebody: has it refunded, whose fact closes '
    'its events, or closes them at once. Returns what it waits for. Raises CF011 and CF012.';
