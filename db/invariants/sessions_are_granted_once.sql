-- A checkout session, its charge and their intent are one payment, also if an event showed that before the names of
-- sessions and charges were stored. When that event is made pending again, it joins the two grants.
with named as (
    select cp.id, cp.provider_payment_id, coalesce(j.payment_id, cp.payment_id) as payment_id
    from public.coin_purchases as cp
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    where cp.granted_at is not null and cp.provider_payment_id ~ '^(cs|ch|py)_' and lower(btrim(cp.provider)) = 'stripe'
),
told as (
    select
        e.id as event_id,
        substring(t.body from '"id"\s*:\s*"((?:cs|ch|py)_[A-Za-z0-9_]+)"') as name,
        substring(t.body from '"(pi_[A-Za-z0-9_]+)"') as intent
    from fleet.inbox_events as e
    cross join lateral (select encode(e.payload, 'escape') as body) as t
    where e.provider = 'stripe' and e.payload is not null
        -- A charge's other events are of its refunds, whose own names have always been stored.
        and (
            e.event_type like 'checkout.session.%'
            or e.event_type in ('charge.succeeded', 'charge.captured', 'charge.updated')
        )
        and exists (select 1 from named)
)
select n.id as purchase_id, cp.id as other_purchase_id, min(t.event_id) as event_id
from named as n
join told as t on t.name = n.provider_payment_id
join public.coin_purchases as cp
    on cp.provider = 'stripe' and cp.provider_payment_id = t.intent and cp.granted_at is not null
left join fleet.joined_purchases as j on j.purchase_id = cp.id
where coalesce(j.payment_id, cp.payment_id) <> n.payment_id
group by n.id, cp.id
