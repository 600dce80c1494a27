-- What was taken back is what the refunds and disputes of the payment say, computed here a second time.
select s.purchase_id, s.refunded_coins, s.target
from (
    select
        cp.id as purchase_id,
        cp.refunded_coins,
        case
            when cp.granted_at is null then 0
            when j.is_taken_back then cp.coin_amount
            when u.paid_minor = 0 then 0
            else trunc(cp.coin_amount * least(r.refunded_minor + d.disputed_minor, u.paid_minor) / u.paid_minor + 1e-20)
        end as target
    from public.coin_purchases as cp
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    left join public.coin_purchases as kept on kept.payment_id = j.payment_id
    cross join lateral (
        select coalesce(j.payment_id, cp.payment_id) as payment_id, coalesce(kept.amount_minor, cp.amount_minor) as paid_minor
    ) as u
    cross join lateral (
        select greatest(
            coalesce(sum(f.amount_minor) filter (where f.status not in ('failed', 'canceled')), 0),
            coalesce((select p.refund_total_minor from fleet.payments as p where p.id = u.payment_id), 0)
            - coalesce(sum(f.amount_minor) filter (where f.status in ('failed', 'canceled')), 0)
        )::numeric(60, 40) as refunded_minor
        from fleet.refunds as f
        where f.payment_id = u.payment_id
    ) as r
    cross join lateral (
        select coalesce(sum(one.amount_minor * greatest(least(one.net / one.largest, 1), 0)), 0)::numeric(60, 40)
            as disputed_minor
        from (
            select x.amount_minor, -sum(t.amount)::numeric(60, 40) as net, -min(t.amount) as largest
            from fleet.disputes as x
            join fleet.dispute_transactions as t on t.provider = x.provider and t.dispute_id = x.dispute_id
            where x.payment_id = u.payment_id
            group by x.provider, x.dispute_id
            having min(t.amount) < 0
        ) as one
    ) as d
) as s
where s.refunded_coins <> s.target
