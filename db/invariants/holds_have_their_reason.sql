-- No event is held for a missing buyer, product or rate that has been there for half an hour, or for an amount that was
-- judged without what another event of the payment told: by then it should have been judged again.
select e.id as event_id, e.reason, w.since
from fleet.inbox_events as e
left join public.coin_purchases as cp on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
cross join lateral (
    -- When the last event of the payment came: it may have joined two of its names.
    select max(greatest(o.received_at, o.processed_at)) as at
    from fleet.inbox_events as o
    where o.payment_id = e.payment_id
) as newest
cross join lateral (
    select case
        when cp.id is null and e.reason = 'unknown_buyer' then (
            select min(n.since)
            from (
                -- The buyer whom all halves of the payment name together. Those that differ name nobody.
                select greatest(p.created_at, newest.at) as since
                from (
                    select
                        bool_or(h.is_attributed) as is_attributed,
                        min(h.profile_id::text) filter (where h.is_attributed) as attributed,
                        bool_or(not h.by_reference and (h.profile_id is not null or h.buyer_unreadable)) as is_named,
                        min(h.profile_id::text) filter (where not h.by_reference) as named,
                        max(h.profile_id::text) filter (where not h.by_reference) as also_named,
                        min(h.profile_id::text) filter (where h.by_reference) as referred,
                        max(h.profile_id::text) filter (where h.by_reference) as also_referred
                    from fleet.payment_halves as h
                    where h.payment_id = e.payment_id
                ) as t
                join public.profiles as p on p.id = case
                    when t.is_attributed then t.attributed
                    when t.is_named then case when t.named = t.also_named then t.named end
                    when t.referred = t.also_referred then t.referred
                end::uuid
                union all
                select p.created_at
                from fleet.store_payments as s
                join public.profiles as p on p.id = s.buyer_id
                where s.payment_id = e.payment_id
            ) as n
        )
        when cp.granted_at is not null or cp.decision is not null or cp.status <> 'pending' then null
        when cp.hold_reason = 'unknown_product' and cp.provider in ('apple', 'google') then (
            -- Each of its products is in the price list since the last of them is.
            select case when bool_and(i.since is not null) then max(i.since) end
            from (
                select (
                    select max(k.listed_at)
                    from public.coin_packages as k
                    where k.provider = cp.provider and coalesce(k.product_id, k.sku) = l.product_id
                    having min(k.coin_amount) = max(k.coin_amount)
                ) as since
                from fleet.store_line_items as l
                where l.payment_id = cp.payment_id
            ) as i
        )
        -- Another half of the payment names what the purchase was not judged by.
        when cp.hold_reason in ('unknown_product', 'wrong_amount') and cp.provider = 'stripe' and exists (
            select 1
            from fleet.payment_halves as h
            where h.payment_id = e.payment_id
            having (min(h.quantity) = max(h.quantity) and min(h.quantity) <> cp.quantity)
                or (min(h.sku) = max(h.sku) and min(h.sku) <> cp.sku)
        )
        -- A purchase that shares its payment with another is left to a person.
        and not exists (select 1 from fleet.joined_purchases as j where j.purchase_id = cp.id) then newest.at
        -- The release before knew nothing of shipping and tax. Whatever a worker of this one holds has a half.
        when cp.hold_reason = 'wrong_amount' and cp.provider = 'stripe' and not exists (
            select 1
            from fleet.payment_halves as h
            where h.provider = e.provider and h.provider_event_id = e.provider_event_id
        )
        -- One that this release doesn't read as a purchase has none either once it was judged.
        and not exists (select 1 from fleet.hold_judgements as j where j.event_id = e.id)
            then (select max(o.applied_at) from fleet.schema_objects as o)
        when cp.hold_reason = 'unknown_product' then (
            select min(k.listed_at) from public.coin_packages as k where k.provider = cp.provider and k.sku = cp.sku
        )
        when cp.hold_reason = 'no_fx_rate' then (
            select min(r.as_of)
            from public.fx_rates as r
            where r.currency = cp.currency and r.as_of between now() - interval '7 days' and now()
        )
    end as since
) as w
where e.state = 'held'
    -- What people have begun to decide is left to them.
    and not exists (select 1 from fleet.decisions as d where d.purchase_id = cp.id)
    and not exists (select 1 from fleet.payments as p where p.id = e.payment_id and p.rejection is not null)
    and w.since < now() - interval '30 minutes' and e.processed_at < now() - interval '30 minutes'
union all
-- Without a rate a dispute takes all coins of its payment. Once there is one, its event has to be processed again.
select e.id, e.reason, r.since
from fleet.inbox_events as e
join fleet.disputes as d on d.payment_id = e.payment_id and d.payment_rate is null
join public.coin_purchases as cp on cp.payment_id = e.payment_id
cross join lateral (
    select min(r.as_of) as since
    from public.fx_rates as r
    where r.currency = d.currency and r.as_of between now() - interval '7 days' and now()
) as r
where e.state = 'applied' and e.reason = 'no_fx_rate' and e.event_type like 'charge.dispute.%'
    and d.status not in ('won', 'prevented', 'warning_closed') and d.currency <> cp.currency
    and r.since < now() - interval '30 minutes'
