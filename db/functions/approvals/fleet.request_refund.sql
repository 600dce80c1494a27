create or replace function fleet.request_refund(p_decision_id bigint, p_request jsonb)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.provider_calls (kind, key, request)
    values (
        case when p_request ? 'order_id' then 'google.refund' else 'stripe.refund' end,
        'coinfleet:refund:' || p_decision_id,
        p_request || jsonb_build_object('decision_id', p_decision_id)
    )
$$;

revoke all on function fleet.request_refund(bigint, jsonb) from public, anon, authenticated, service_role;
comment on function fleet.request_refund(bigint, jsonb) is
    'Has a payment refunded at the provider, once per decision: a row of the outbox, in the transaction that decides.';
