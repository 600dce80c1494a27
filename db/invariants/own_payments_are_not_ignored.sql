-- A paid payment, or an order that costs nothing, is ignored as not ours or as unpaid only while none of its events
-- names a buyer or a product of ours. One that does is granted, waits, is held, or was closed by a person or by its
-- refund. A release before this one may have read an event otherwise; what its payload says counts, for the 90 days
-- that payloads are kept. Somebody else's orders in the same account have none of our metadata.
with named as materialized (
    select e.id, e.payment_id, e.event_type, e.reason, e.payload
    from fleet.inbox_events as e
    where e.provider = 'stripe' and e.state = 'ignored'
        and (
            e.reason = 'not_ours' and e.event_type in (
                'payment_intent.succeeded', 'checkout.session.completed', 'checkout.session.async_payment_succeeded'
            )
            or e.reason = 'unpaid' and e.event_type = 'checkout.session.completed'
        )
        -- Looked for in the bytes first: to parse a payload takes longer, and most have neither.
        and (position('"profile_id"'::bytea in e.payload) > 0 or position('"sku"'::bytea in e.payload) > 0)
),
told as (
    select n.id, n.payment_id, n.event_type, n.reason, t.object
    from named as n
    -- By `offset`, each payload is parsed once, and not for each mention.
    cross join lateral (select fleet.event_object(n.payload) #> '{data,object}' as object offset 0) as t
    where t.object #>> '{metadata,profile_id}' <> '' or t.object #>> '{metadata,sku}' <> ''
),
ours as (
    select e.id, e.payment_id
    from fleet.inbox_events as e
    where e.provider = 'stripe' and e.event_type = 'payment_intent.succeeded'
        and e.state = 'ignored' and e.reason = 'not_ours'
        and exists (
            select 1
            from fleet.payment_halves as h
            where h.payment_id = e.payment_id and (h.profile_id is not null or h.sku is not null)
        )
    union
    select t.id, t.payment_id
    from told as t
    where case
        when t.event_type = 'payment_intent.succeeded' then t.object ->> 'status' = 'succeeded'
        -- An order that costs nothing: of another mode, a session asks for no payment if it saves a card.
        when t.object ->> 'mode' = 'payment' and t.object -> 'amount_total' = '0' then
            t.object ->> 'payment_status' in ('paid', 'no_payment_required')
        else t.reason = 'not_ours' and t.object ->> 'payment_status' = 'paid'
    end
        -- A direct call may have recorded it.
        and not exists (
            select 1
            from fleet.payment_keys as k
            where k.provider = 'stripe' and k.key in (t.object ->> 'id', t.object ->> 'payment_intent')
                and (
                    exists (select 1 from public.coin_purchases as cp where cp.payment_id = k.payment_id)
                    or exists (select 1 from fleet.joined_purchases as j where j.payment_id = k.payment_id)
                )
        )
)
select o.id as event_id, o.payment_id
from ours as o
where not exists (select 1 from public.coin_purchases as cp where cp.payment_id = o.payment_id)
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = o.payment_id)
    and not exists (
        select 1
        from fleet.inbox_events as e
        where e.payment_id = o.payment_id
            and (
                -- A refund waits for the purchase itself.
                (e.state in ('pending', 'waiting', 'held', 'dead') and e.reason is distinct from 'no_purchase_yet')
                or e.reason in ('refunded_while_held', 'by_decision')
            )
    )
