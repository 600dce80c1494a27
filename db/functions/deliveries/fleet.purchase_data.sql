create or replace function fleet.purchase_data(
    p_purchase public.coin_purchases,
    p_coins bigint,
    p_coin_balance bigint,
    p_seq bigint,
    p_reason text
)
returns jsonb
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select jsonb_build_object(
        'event_id', p_purchase.provider_event_id,
        'profile_id', p_purchase.profile_id,
        'coins', p_coins,
        'coin_balance', p_coin_balance,
        'seq', p_seq,
        'purchase_id', p_purchase.id,
        'provider', p_purchase.provider,
        'payment_id', p_purchase.provider_payment_id,
        'sku', p_purchase.sku,
        'quantity', p_purchase.quantity,
        'status', p_purchase.status,
        'refunded_coins', p_purchase.refunded_coins,
        'reason', p_reason
    )
$$;

revoke all on function fleet.purchase_data(public.coin_purchases, bigint, bigint, bigint, text)
from public, anon, authenticated, service_role;
comment on function fleet.purchase_data(public.coin_purchases, bigint, bigint, bigint, text) is
    'What the app is told of a purchase: ids, coins and its state; nothing of who the buyer is but the profile''s id.';
