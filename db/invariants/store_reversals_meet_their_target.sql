-- What was taken back of a store's purchase is what the store says went back, computed here a second time in another
-- way: the coins taken are worth no more than that, and one coin more would be worth more.
select t.purchase_id, t.provider, t.coin_amount, t.refunded_coins, t.status, t.part, t.whole
from (
    select
        cp.id as purchase_id, cp.provider, cp.coin_amount::numeric as coin_amount, cp.refunded_coins, cp.status,
        cp.granted_at is not null as is_granted, coalesce(j.is_taken_back, false) as is_taken_back, f.part, f.whole
    from public.coin_purchases as cp
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    join fleet.store_payments as s on s.payment_id = coalesce(j.payment_id, cp.payment_id)
    cross join lateral (
        -- The largest of several fractions of one whole.
        select max(least(c.part, c.whole)) as part, max(c.whole) as whole
        from (
            -- Apple: of so many, the number whose share rounds to what it says; else the share itself.
            select
                case when n.units is null then s.reversed_milli_percent::numeric else n.units end as part,
                case when n.units is null then 100000 else s.quantity end as whole
            from (
                select min(u.units)::numeric as units
                from (
                    select floor((s.reversed_milli_percent::bigint * s.quantity + 50000) / 100000.0) as units
                ) as u
                where abs(s.reversed_milli_percent - u.units * 100000 / s.quantity) <= 0.5
            ) as n
            where s.provider = 'apple'
            union all
            -- Google: each product by its coins.
            select sum(least(l.quantity, l.reversed_quantity) * w.coins), sum(l.quantity * w.coins)
            from fleet.store_line_items as l
            cross join lateral (
                select case
                    when exists (
                        select 1 from fleet.store_line_items as o
                        where o.payment_id = l.payment_id and o.unit_coins is null
                    )
                        then 1
                    else l.unit_coins
                end::numeric as coins
            ) as w
            where s.provider = 'google' and l.payment_id = s.payment_id
            union all
            -- Google's records that name no product, and its word that all went back.
            select
                case
                    when s.reversed_milli_percent = 100000 or v.is_whole or v.voided >= a.quantity then a.coins
                    else greatest(v.voided * a.cheapest, a.coins * s.reversed_milli_percent / 100000)
                end,
                a.coins
            from (
                select bool_or(d.voided_quantity = 0) as is_whole, coalesce(sum(d.voided_quantity), 0) as voided
                from fleet.store_voids as d
                where d.payment_id = s.payment_id
            ) as v
            cross join lateral (
                select
                    coalesce(sum(l.quantity), s.quantity) as quantity,
                    coalesce(
                        case
                            when bool_and(l.unit_coins is not null) then sum(l.quantity * l.unit_coins::numeric)
                            else sum(l.quantity)
                        end,
                        s.quantity
                    ) as coins,
                    case when bool_and(l.unit_coins is not null) then min(l.unit_coins) else 1 end as cheapest
                from fleet.store_line_items as l
                where l.payment_id = s.payment_id
            ) as a
            where s.provider = 'google'
        ) as c
    ) as f
) as t
where case
    when not t.is_granted then t.refunded_coins <> 0
    when t.is_taken_back or t.part >= t.whole then t.refunded_coins <> t.coin_amount
    else t.refunded_coins * t.whole > t.coin_amount * t.part
        or (t.refunded_coins + 1) * t.whole <= t.coin_amount * t.part
end
or t.status <> case
    when t.is_taken_back or t.part >= t.whole then 'refunded'
    when t.is_granted then 'confirmed'
    else 'pending'
end
