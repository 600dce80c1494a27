create or replace function fleet.reject_purchase(
    p_purchase_id bigint,
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
    v_payment_id bigint := fleet.lock_purchase(p_purchase_id);
    v_purchase public.coin_purchases := fleet.undecided_purchase(p_purchase_id, p_who);
    v_now timestamptz := clock_timestamp();
    v_refunds boolean := not p_without_refund and v_purchase.amount_minor is distinct from 0;
    v_request jsonb;
    v_decision_id bigint;
begin
    if v_refunds then
        if fleet.is_granted_otherwise(p_purchase_id) then
            raise exception 'another purchase is granted for the payment of purchase %, and a refund would take its '
                'coins: reject this one without refund', p_purchase_id
                using errcode = 'invalid_parameter_value';
        end if;
        v_request := fleet.refund_request(v_purchase.provider, v_payment_id);
        if v_request is null then
            raise exception 'purchase % can''t be refunded from here: reject it without refund; %', p_purchase_id,
                case v_purchase.provider
                    when 'apple' then 'Apple refunds only customers who ask Apple'
                    else 'have it refunded at the provider'
                end
                using errcode = 'invalid_parameter_value';
        end if;
    end if;
    insert into fleet.decisions (purchase_id, verb, outcome, who, reason, hold_reason, decided_at)
    values (
        p_purchase_id, 'reject', case when v_refunds then 'refund_requested' else 'closed' end, p_who,
        btrim(p_reason), v_purchase.hold_reason, v_now
    )
    returning id into v_decision_id;
    update public.coin_purchases as cp
    set decision = 'rejected', refund_requested = v_refunds
    where cp.id = p_purchase_id;
    if v_refunds then
        perform fleet.request_refund(v_decision_id, v_request);
        return 'refund';
    end if;
    update fleet.inbox_events as e
    set state = 'rejected', reason = 'by_decision', processed_at = v_now
    where e.provider = v_purchase.provider and e.provider_event_id = v_purchase.provider_event_id
        and e.payment_id = v_payment_id and e.state in ('held', 'waiting');
    return null;
end
$$;

revoke all on function fleet.reject_purchase(bigint, text, text, boolean)
from public, anon, authenticated, service_role;
comment on function fleet.reject_purchase(bigint, text, text, boolean) is
    'Rejects a held purchase in the name of somebody: has its payment refunded, whose fact closes the event, or '
    'closes it at once if there is nothing to refund. Returns what it waits for. Raises CF011 and CF012.';
