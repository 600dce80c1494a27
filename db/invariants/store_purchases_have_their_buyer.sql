-- A store's purchase is of the one buyer whom the store, a person or its first submission names, and it is of no one
-- if its submission was somebody else's.
select cp.id as purchase_id, cp.profile_id, s.buyer_id
from public.coin_purchases as cp
join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
join fleet.store_payments as s on s.payment_id = cp.payment_id
-- A direct call names its buyer itself, and no product.
where cp.sku is not null and cp.profile_id is distinct from s.buyer_id
union all
select cp.id, cp.profile_id, null
from public.coin_purchases as cp
join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
where e.state = 'rejected' and e.reason = 'not_the_buyer'
