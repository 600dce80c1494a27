-- Each applied refund or dispute has its purchase, or a payment that was held without one; and no payment with a
-- purchase counts as not ours.
select e.id as event_id, e.payment_id
from fleet.inbox_events as e
left join public.coin_purchases as cp on cp.payment_id = e.payment_id
left join fleet.payments as p on p.id = e.payment_id
where e.state = 'applied'
    and (
        e.event_type in (
            'charge.refunded', 'charge.refund.updated', 'refund.created', 'refund.updated', 'refund.failed'
        )
        or e.event_type like 'charge.dispute.%'
    )
    and cp.id is null
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = e.payment_id)
    and p.held_minor is null
    -- A payment that joined another one has no name any more.
    and exists (select 1 from fleet.payment_keys as k where k.payment_id = e.payment_id)
union all
select null, p.id
from fleet.payments as p
join public.coin_purchases as cp on cp.payment_id = p.id
where p.is_foreign
