-- The coins that a refund or dispute takes are a part of what was paid, so that is what the event of the purchase says.
-- Payloads are kept for 90 days.
select cp.id as purchase_id, cp.amount_minor, cp.currency, e.id as event_id
from public.coin_purchases as cp
join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
-- By `offset`, each payload is parsed once, and not for each mention.
cross join lateral (select fleet.event_object(e.payload) #> '{data,object}' as object offset 0) as t
where cp.provider = 'stripe' and e.payload is not null
    and (cp.refunded_coins > 0 or cp.status in ('refunded', 'chargeback'))
    and e.event_type in (
        'payment_intent.succeeded', 'checkout.session.completed', 'checkout.session.async_payment_succeeded'
    )
    and (
        coalesce(t.object -> 'amount_received', t.object -> 'amount_total') <> to_jsonb(cp.amount_minor)
        or lower(t.object ->> 'currency') <> cp.currency
    )
