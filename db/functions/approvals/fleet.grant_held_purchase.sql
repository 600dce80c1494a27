create or replace function fleet.grant_held_purchase(
    p_purchase_id bigint,
    p_payment_id bigint,
    p_coins bigint,
    p_usd numeric,
    p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_purchase public.coin_purchases;
    v_key text;
begin
    update public.coin_purchases as cp
    set
        decision = 'approved',
        status = 'confirmed',
        hold_reason = null,
        coin_amount = p_coins,
        usd_amount = p_usd,
        granted_at = p_now
    where cp.id = p_purchase_id
    returning cp.* into v_purchase;
    v_key := 'purchase:' || v_purchase.provider || ':' || v_purchase.provider_payment_id;
    perform fleet.post_ledger(array[
        row(1, 0, v_purchase.profile_id, 'coins', p_coins, 'purchase', v_key, null)::fleet.posting,
        row(1, 1, null, 'coins_issued', -p_coins, 'purchase', v_key, null)::fleet.posting
    ]);
    -- One that is pending is on its way to be judged again, and is found granted then.
    update fleet.inbox_events as e
    set state = 'applied', reason = null, processed_at = p_now
    where e.provider = v_purchase.provider and e.provider_event_id = v_purchase.provider_event_id
        and e.payment_id = p_payment_id and e.state in ('held', 'waiting');
    -- Whoever shares the payment can't be granted as well.
    perform fleet.hold_shared_payments(array[p_payment_id]);
    -- Stores tell how many of which product went back.
    if v_purchase.provider in ('apple', 'google') then
        perform fleet.note_priced_purchases(array[p_payment_id], p_only_missing => true);
        perform fleet.note_late_sandbox_grants(array[p_purchase_id], p_now);
    end if;
    -- What was refunded while it was held is taken back from what was granted.
    perform fleet.settle_purchased_payments(array[p_payment_id], p_now);
    if v_purchase.provider = 'google' then
        perform fleet.request_store_calls(array[p_payment_id]);
    end if;
end
$$;

revoke all on function fleet.grant_held_purchase(bigint, bigint, bigint, numeric, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.grant_held_purchase(bigint, bigint, bigint, numeric, timestamptz) is
    'Grants a held purchase that was approved, settles what was refunded of its payment, and closes its events. The '
    'caller holds the locks and has kept the decision.';
