-- An event that is held without a purchase, for example because the buyer is unknown, is closed when its payment was
-- refunded.
select e.id as event_id, e.payment_id, p.held_minor
from fleet.inbox_events as e
join fleet.payments as p on p.id = e.payment_id
left join public.coin_purchases as cp on cp.payment_id = e.payment_id
where e.state = 'held' and cp.id is null
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
    and p.held_minor > 0
    and p.held_minor + coalesce(p.uncaptured_minor, 0) <= (
        select sum(r.amount_minor)
        from fleet.refunds as r
        where r.payment_id = e.payment_id and r.status not in ('failed', 'canceled')
    )
union all
select e.id, e.payment_id, p.held_minor
from fleet.inbox_events as e
join fleet.payments as p on p.held_event_id = e.id
join fleet.store_payments as s on s.payment_id = e.payment_id
where e.state = 'held' and s.reversed_milli_percent = 100000
    and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
