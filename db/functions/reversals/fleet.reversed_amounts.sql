-- A plan that was made for few rows is kept; look-ups are right for many rows too, and joins could read all of them.
create or replace function fleet.reversed_amounts(p_payment_ids bigint[])
returns table (
    payment_id bigint, purchase_id bigint, is_taken_back boolean, paid numeric, refunded numeric, disputed numeric
)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    with paid as (
        select
            b.payment_id, b.purchase_id, b.is_taken_back, b.amount::numeric as amount, b.currency,
            coalesce(p.refund_total_minor, 0) as refund_total,
            coalesce(p.refund_total_at, '-infinity') as refund_total_at,
            coalesce(p.uncaptured_minor, 0) as uncaptured
        from fleet.amounts_paid(p_payment_ids) as b
        left join lateral (
            -- What its charge told.
            select t.refund_total_minor, t.refund_total_at, t.uncaptured_minor
            from fleet.payments as t
            where t.id = b.payment_id
            limit 1
        ) as p on true
        -- Stores tell what part went back, not how much money.
        where (select s.payment_id from fleet.store_payments as s where s.payment_id = b.payment_id limit 1) is null
    )
    -- The sums of each payment by look-ups, however many payments there are.
    select
        d.payment_id,
        d.purchase_id,
        d.is_taken_back,
        d.amount,
        greatest(greatest(coalesce(r.standing, 0), d.refund_total - coalesce(r.undone, 0)) - d.uncaptured, 0),
        coalesce(s.disputed, 0)
    from paid as d
    cross join lateral (
        -- Its refunds.
        select
            sum(f.amount_minor) filter (where f.status not in ('failed', 'canceled')) as standing,
            -- Refunds that the cumulative total includes, though they failed afterwards.
            sum(f.amount_minor) filter (
                where f.status in ('failed', 'canceled')
                    and coalesce(f.created_at, '-infinity') <= d.refund_total_at
                    and case
                        when f.undone_at is null then d.refund_total_at = '-infinity'
                        else f.undone_at > d.refund_total_at
                    end
            ) as undone
        from fleet.refunds as f
        where f.payment_id = d.payment_id
    ) as r
    cross join lateral (
        -- Its disputes.
        select sum(
            case
                when w.currency = d.currency or w.currency is null then w.amount_minor
                when w.payment_rate is null then d.amount
                -- The rates of two days differ: what is nearly the whole amount counts as the whole.
                when w.amount_minor * w.payment_rate between d.amount * 0.95 and d.amount * 1.05 then d.amount
                else w.amount_minor * w.payment_rate
            end
            * case
                when w.status in ('won', 'prevented', 'warning_closed') then 0
                when w.status = 'lost' and coalesce(m.ratio, 1) >= 0.95 then 1
                else coalesce(m.ratio, 0)
            end
        ) as disputed
        from fleet.disputes as w
        cross join lateral (
            -- Amounts are in the settlement currency, so only the ratio to the largest withdrawal counts. If money
            -- was withdrawn in one currency and came back in another, it counts as withdrawn until the status says
            -- that the dispute was won.
            select max(case when c.largest is not null then least(c.net / c.largest, 1) end) as ratio
            from (
                -- Per currency: what is withdrawn now, and the largest withdrawal.
                select
                    greatest(-sum(t.amount), 0)::numeric(400, 300) as net,
                    -min(t.amount) filter (where t.amount < 0) as largest
                from fleet.dispute_transactions as t
                where t.provider = w.provider and t.dispute_id = w.dispute_id
                group by t.currency
            ) as c
        ) as m
        where w.payment_id = d.payment_id
    ) as s
    union all
    select t.payment_id, t.purchase_id, t.is_taken_back, t.paid, t.refunded, 0
    from fleet.store_reversed_amounts(p_payment_ids) as t
$$;

revoke all on function fleet.reversed_amounts(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.reversed_amounts(bigint[]) is
    'What was paid, refunded and taken by disputes, in minor units of the payment''s currency: a row per purchase, and '
    'a row per payment that is held without one. For a store''s payment in parts of the whole instead. Thirds of a '
    'dispute have 300 decimals.';
