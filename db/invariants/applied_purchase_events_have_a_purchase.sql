-- Each applied payment event has a purchase: its own, or the one of the payment that it told of again. A payment
-- whose names now belong to another payment is found by those names.
select e.id as event_id, e.provider_event_id, e.reason
from fleet.inbox_events as e
where e.provider = 'stripe' and e.state = 'applied'
    and e.event_type in (
        'payment_intent.succeeded', 'checkout.session.completed', 'checkout.session.async_payment_succeeded'
    )
    and case
        when e.reason is null
            then not exists (select 1 from public.coin_purchases as cp where cp.provider_event_id = e.provider_event_id)
        when e.reason = 'duplicate_payment'
            then exists (select 1 from fleet.payment_keys as k where k.payment_id = e.payment_id)
            and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
            and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
        else false
    end
