-- Once a payment has its purchase, or is known not to be ours, none of its events waits or is held, except those that
-- brought a purchase of it.
select e.id as event_id, e.state, e.reason
from fleet.inbox_events as e
left join public.coin_purchases as cp on cp.payment_id = e.payment_id
left join public.coin_purchases as own on own.provider_event_id = e.provider_event_id and own.provider = e.provider
left join fleet.payments as p on p.id = e.payment_id
where e.state in ('waiting', 'held')
    and case when cp.id is not null then own.id is null else p.is_foreign and e.reason = 'no_purchase_yet' end
