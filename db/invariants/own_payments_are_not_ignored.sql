-- A paid payment is ignored as not ours only while none of its events names a buyer or a product of ours. One that
-- does is granted, waits, is held, or was closed by a person or by its refund.
select e.id as event_id, e.payment_id
from fleet.inbox_events as e
where e.provider = 'stripe' and e.event_type = 'payment_intent.succeeded'
    and e.state = 'ignored' and e.reason = 'not_ours'
    and exists (
        select 1
        from fleet.payment_halves as h
        where h.payment_id = e.payment_id and (h.profile_id is not null or h.sku is not null)
    )
    and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
    and not exists (
        select 1
        from fleet.inbox_events as o
        where o.payment_id = e.payment_id
            and (
                -- A refund waits for the purchase itself.
                (o.state in ('pending', 'waiting', 'held', 'dead') and o.reason is distinct from 'no_purchase_yet')
                or o.reason in ('refunded_while_held', 'by_decision')
            )
    )
