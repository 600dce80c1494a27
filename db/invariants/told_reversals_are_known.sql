-- What Stripe told of a refund, a total or a dispute is kept as a fact of the payment that the event names: without
-- the fact nobody's coins are taken, and the books agree with that. Payloads are kept for 90 days.
with told as materialized (
    select e.id, e.event_type, t.body #> '{data,object}' as object, to_timestamp((t.body ->> 'created')::numeric) as at
    from fleet.inbox_events as e
    -- By `offset`, each payload is parsed once, and not for each mention.
    cross join lateral (select fleet.event_object(e.payload) as body offset 0) as t
    where e.provider = 'stripe' and e.payload is not null
        and (
            e.event_type in (
                'charge.refunded', 'charge.refund.updated', 'refund.created', 'refund.updated', 'refund.failed'
            )
            or e.event_type like 'charge.dispute.%'
        )
        -- Of a payment that is not ours nothing is kept, unless it has a purchase.
        and (
            e.state = 'applied'
            or (
                (e.state, e.reason) in (('ignored', 'not_ours'), ('rejected', 'no_purchase'))
                and exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
            )
        )
        -- A number that is a time.
        and t.body -> 'created' between '0' and '9999999999'
        and jsonb_typeof(t.body #> '{data,object,id}') = 'string'
        -- An event without a name of its payment is about none.
        and (e.event_type = 'charge.refunded' or t.body #> '{data,object}' ?| array['payment_intent', 'charge'])
),
named as (
    select
        t.id, t.event_type, t.object, t.object ->> 'id' as object_id, t.at,
        array(
            select k.payment_id
            from fleet.payment_keys as k
            where k.provider = 'stripe' and k.key in (
                t.object ->> 'payment_intent', t.object #>> '{payment_intent,id}',
                t.object ->> 'charge', t.object #>> '{charge,id}',
                case when t.event_type = 'charge.refunded' then t.object ->> 'id' end
            )
        ) as payment_ids
    from told as t
)
select n.id as event_id, n.event_type, n.object_id
from named as n
where n.event_type not in ('charge.refunded') and n.event_type not like 'charge.dispute.%'
    and not exists (
        select 1
        from fleet.refunds as r
        where r.provider = 'stripe' and r.refund_id = n.object_id and r.payment_id = any(n.payment_ids)
            and r.amount_minor >= (n.object ->> 'amount')::numeric
            and (
                r.status in ('failed', 'canceled')
                or coalesce(n.object ->> 'status', '') not in ('failed', 'canceled')
            )
    )
union all
select n.id, n.event_type, n.object_id
from named as n
where n.event_type = 'charge.refunded'
    and not exists (
        select 1
        from fleet.payments as p
        where p.id = any(n.payment_ids)
            and (p.refund_total_at > n.at or p.refund_total_minor >= (n.object ->> 'amount_refunded')::numeric)
            and not coalesce(
                p.uncaptured_at = n.at
                and p.uncaptured_minor > greatest(
                    (n.object ->> 'amount')::numeric - (n.object ->> 'amount_captured')::numeric, 0
                ),
                false
            )
    )
union all
-- The newest event of a dispute says what its status is: of one second, one of its events does.
select n.id, n.event_type, n.object_id
from named as n
where n.event_type like 'charge.dispute.%'
    and not exists (
        select 1
        from fleet.disputes as d
        where d.provider = 'stripe' and d.dispute_id = n.object_id and d.payment_id = any(n.payment_ids)
            and (d.told_at is null or d.told_at >= n.at)
            and (
                d.told_at is distinct from n.at
                or d.status in ('unknown', n.object ->> 'status')
                or exists (
                    select 1
                    from named as o
                    where o.object_id = n.object_id and o.at = n.at and o.object ->> 'status' = d.status
                )
            )
    )
union all
select n.id, n.event_type, n.object_id
from named as n
cross join lateral jsonb_array_elements(
    case jsonb_typeof(n.object -> 'balance_transactions') when 'array' then n.object -> 'balance_transactions' end
) as m (moved)
where n.event_type like 'charge.dispute.%'
    and not exists (
        select 1
        from fleet.dispute_transactions as t
        where t.provider = 'stripe' and t.dispute_id = n.object_id and t.transaction_id = m.moved ->> 'id'
            and t.amount = (m.moved ->> 'amount')::numeric
    )
