-- An event that is held without a purchase, for example because the buyer is unknown, is closed once its payment went
-- back whole, however that was told, and not before; if the refund fails, one of the payment's events is held again. Of
-- a dispute that moved money back and forth, or is in another currency, a part counts that is not computed here: it may
-- be anything from nothing to the whole.
select e.id as event_id, e.payment_id, p.held_minor
from fleet.inbox_events as e
join fleet.payments as p on p.id = e.payment_id
cross join lateral (
    select
        greatest(
            0,
            coalesce(sum(r.amount_minor) filter (where not u.is_undone), 0) - coalesce(p.uncaptured_minor, 0),
            p.refund_total_minor - coalesce(p.uncaptured_minor, 0)
            - coalesce(sum(r.amount_minor) filter (where u.is_undone and u.is_in_total), 0)
        ) as minor
    from fleet.refunds as r
    cross join lateral (
        select
            r.status in ('failed', 'canceled') as is_undone,
            -- Made by the time of the total, and failed after it.
            not coalesce(r.created_at > coalesce(p.refund_total_at, '-infinity'), false)
            and coalesce(r.undone_at > coalesce(p.refund_total_at, '-infinity'), p.refund_total_at is null)
                as is_in_total
    ) as u
    where r.payment_id = p.id
) as refunded
cross join lateral (
    select
        coalesce(sum(d.amount_minor) filter (where m.is_plain and m.is_taken), 0) as at_least,
        coalesce(sum(d.amount_minor) filter (where m.is_plain and m.is_taken), 0)
        + coalesce(sum(p.held_minor) filter (where not m.is_plain), 0) as at_most
    from fleet.disputes as d
    cross join lateral (
        select
            d.status = 'lost' or bool_or(t.amount < 0) as is_taken,
            coalesce(d.currency = p.held_currency, true) and not coalesce(bool_or(t.amount > 0), false) as is_plain
        from fleet.dispute_transactions as t
        where t.provider = d.provider and t.dispute_id = d.dispute_id
    ) as m
    where d.payment_id = p.id and coalesce(d.status, '') not in ('won', 'prevented', 'warning_closed')
) as disputed
where p.held_minor > 0
    and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
    and not exists (select 1 from public.coin_purchases as cp where cp.provider_event_id = e.provider_event_id)
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
    and not exists (select 1 from fleet.store_payments as s where s.payment_id = e.payment_id)
    and case
        when e.state = 'held' then refunded.minor + disputed.at_least >= p.held_minor
        else e.id = p.held_event_id and e.reason = 'refunded_while_held'
            and refunded.minor + disputed.at_most < p.held_minor
    end
union all
select e.id, e.payment_id, p.held_minor
from fleet.inbox_events as e
join fleet.payments as p on p.held_event_id = e.id
join fleet.store_payments as s on s.payment_id = e.payment_id
where e.state = 'held' and s.reversed_milli_percent = 100000
    and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
