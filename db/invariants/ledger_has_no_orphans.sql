-- Each ledger entry of a purchase or gift has that purchase or gift.
select e.id as entry_id, e.reason, e.idempotency_key
from public.ledger_entries as e
left join public.gifts as g on e.reason = 'gift' and e.idempotency_key = 'gift:' || g.provider_event_id
left join public.coin_purchases as cp
    on e.reason = 'purchase' and e.idempotency_key = 'purchase:' || cp.provider || ':' || cp.provider_payment_id
where e.leg = 0 and e.reason in ('gift', 'purchase') and g.id is null and cp.id is null
