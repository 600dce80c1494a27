create or replace function fleet.refund_request(p_provider text, p_payment_id bigint)
returns jsonb
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- Stripe refunds what remains of an intent. Apple refunds nobody at our word, and what the app recorded has no
    -- provider that could.
    select jsonb_build_object('payment_intent', min(k.key))
    from fleet.payment_keys as k
    where p_provider = 'stripe' and k.payment_id = p_payment_id and k.provider = 'stripe' and starts_with(k.key, 'pi_')
    having min(k.key) is not null
$$;

revoke all on function fleet.refund_request(text, bigint) from public, anon, authenticated, service_role;
comment on function fleet.refund_request(text, bigint) is
    'What a call to the provider needs to refund what remains of a payment; null if we cannot have it refunded.';
