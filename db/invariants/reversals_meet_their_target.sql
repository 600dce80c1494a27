-- The coins taken back are what the refunds and disputes of the payment require, computed here a second time in
-- another way: a number of coins is right if it is worth no more than what was reversed, and one coin more would be
-- worth more. Stores tell no refunds: see store_reversals_meet_their_target.
select s.purchase_id, s.refunded_coins, s.status, s.coin_amount, s.amount_minor, s.reversed_minor
from (
    select
        cp.id as purchase_id,
        cp.refunded_coins,
        cp.status,
        cp.granted_at,
        cp.coin_amount::numeric as coin_amount,
        o.paid_minor::numeric as amount_minor,
        coalesce(j.is_taken_back, false) as is_taken_back,
        r.refunded_minor + d.disputed_minor as reversed_minor,
        d.disputed_minor > 0 as is_disputed
    from public.coin_purchases as cp
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    left join public.coin_purchases as kept on kept.payment_id = j.payment_id
        -- A direct call that nobody granted does not say what was paid for one that is granted.
        and not (kept.sku is null and kept.granted_at is null and cp.granted_at is not null)
    left join fleet.payments as p on p.id = coalesce(j.payment_id, cp.payment_id)
    cross join lateral (
        select coalesce(kept.amount_minor, cp.amount_minor) as minor, coalesce(kept.currency, cp.currency) as currency,
            -- Recorded by a direct call, in dollars.
            case when kept.id is null then cp.sku else kept.sku end is null as is_direct
    ) as told
    cross join lateral (
        select coalesce(j.payment_id, cp.payment_id) as payment_id, a.minor as paid_minor, a.currency
        from (
            values
            (
                1, p.charge_minor, p.charge_currency,
                (told.is_direct and p.charge_minor > 0) or p.charge_currency <> told.currency
            ),
            (2, p.total_minor, p.total_currency, told.is_direct and p.total_minor > 0),
            (3, told.minor, told.currency, true)
        ) as a (rank, minor, currency, counts)
        where a.counts
        order by a.rank
        limit 1
    ) as o
    cross join lateral (
        select greatest(
            0,
            coalesce(sum(f.amount_minor) filter (where not u.is_undone), 0) - coalesce(p.uncaptured_minor, 0),
            coalesce(p.refund_total_minor, 0) - coalesce(p.uncaptured_minor, 0) - coalesce(
                sum(f.amount_minor) filter (
                    where u.is_undone
                        -- Neither made after the cumulative total nor failed by then; from before times were stored,
                        -- neither is known.
                        and not coalesce(f.created_at > coalesce(p.refund_total_at, '-infinity'), false)
                        and (
                            (f.undone_at is null and p.refund_total_at is null)
                            or f.undone_at > coalesce(p.refund_total_at, '-infinity')
                        )
                ),
                0
            )
        ) as refunded_minor
        from fleet.refunds as f
        cross join lateral (select f.status = any('{failed,canceled}') as is_undone) as u
        where f.payment_id = o.payment_id
    ) as r
    cross join lateral (
        select coalesce(
            sum(
                case
                    when x.status in ('won', 'prevented', 'warning_closed') then 0
                    when x.status = 'lost' and not coalesce(w.came_back > 0.05, false) then v.minor
                    when w.came_back is null then 0
                    else v.minor * (1 - w.came_back)
                end
            ),
            0
        ) as disputed_minor
        from fleet.disputes as x
        cross join lateral (
            select case
                when x.currency is null or x.currency = o.currency then x.amount_minor
                when abs(x.amount_minor * x.payment_rate - o.paid_minor) * 20 > o.paid_minor
                    then x.amount_minor * x.payment_rate
                else o.paid_minor
            end as minor
        ) as v
        -- The part of the largest withdrawal that has come back, in the currency in which least of it has.
        cross join lateral (
            select min(least(greatest(1 + c.net / c.largest, 0), 1)) as came_back
            from (
                select sum(t.amount)::numeric(400, 300) as net, -min(t.amount) as largest
                from fleet.dispute_transactions as t
                where t.provider = x.provider and t.dispute_id = x.dispute_id
                group by t.currency
                having min(t.amount) < 0
            ) as c
        ) as w
        where x.payment_id = o.payment_id
    ) as d
    where not exists (select 1 from fleet.store_payments as s where s.payment_id = o.payment_id)
) as s
-- Thirds have 300 decimals, of which 250 are exact.
cross join lateral (
    select
        round(s.reversed_minor, 250) as reversed,
        s.is_taken_back or (s.amount_minor > 0 and round(s.reversed_minor, 250) >= s.amount_minor) as is_whole
) as t
where case
    when s.granted_at is null then s.refunded_coins <> 0
    when t.is_whole then s.refunded_coins <> s.coin_amount
    when coalesce(s.amount_minor, 0) = 0 then s.refunded_coins <> 0
    else s.refunded_coins * s.amount_minor > s.coin_amount * t.reversed
        or (s.refunded_coins + 1) * s.amount_minor <= s.coin_amount * t.reversed
end
or s.status <> case
    when t.is_whole then case when s.is_disputed then 'chargeback' else 'refunded' end
    when s.granted_at is null then 'pending'
    else 'confirmed'
end
