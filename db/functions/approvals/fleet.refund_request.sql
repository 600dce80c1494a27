create or replace function fleet.refund_request(p_provider text, p_payment_id bigint)
returns jsonb
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- Stripe refunds what remains of an intent, Google a whole order. Apple refunds nobody at our word, and what the
    -- app recorded has no provider that could.
    select jsonb_build_object('payment_intent', min(k.key))
    from fleet.payment_keys as k
    where p_provider = 'stripe' and k.payment_id = p_payment_id and k.provider = 'stripe' and starts_with(k.key, 'pi_')
    having min(k.key) is not null
    union all
    select jsonb_build_object('package', s.store_app, 'order_id', min(k.key), 'token', s.provider_payment_id)
    from fleet.store_payments as s
    join fleet.payment_keys as k on k.payment_id = s.payment_id and k.provider = 'google'
    where p_provider = 'google' and s.payment_id = p_payment_id and s.provider_payment_id is not null
        and fleet.payment_key_kind(k.key) = 'order'
    group by s.payment_id
$$;

revoke all on function fleet.refund_request(text, bigint) from public, anon, authenticated, service_role;
comment on function fleet.refund_request(text, bigint) is
    'What a call to the provider needs to refund what remains of a payment; null if we cannot have it refunded.';
