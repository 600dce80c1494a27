create or replace function fleet.unbought_data(
    p_provider text, p_provider_event_id text, p_payment_id bigint, p_reason text
)
returns jsonb
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select jsonb_build_object(
        'event_id', p_provider_event_id,
        'profile_id', null,
        'coins', null,
        'coin_balance', null,
        'seq', null,
        'purchase_id', null,
        'provider', p_provider,
        -- A name that a person would look for: at Stripe the intent.
        'payment_id',
        (
            select k.key
            from fleet.payment_keys as k
            where k.payment_id = p_payment_id and k.provider = p_provider and not starts_with(k.key, 'event:')
            order by starts_with(k.key, 'pi_') desc, k.key
            limit 1
        ),
        'reason', p_reason
    )
$$;

revoke all on function fleet.unbought_data(text, text, bigint, text) from public, anon, authenticated, service_role;
comment on function fleet.unbought_data(text, text, bigint, text) is
    'What the app is told of a payment that has no purchase yet, as for want of a buyer.';
