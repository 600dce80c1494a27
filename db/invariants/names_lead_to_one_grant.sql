-- No name of a payment leads to two grants: neither by another spelling of the provider, nor by another provider for
-- names that only Stripe gives. Grants that are joined already are listed in payments_are_granted_once.
select cp.id as purchase_id, other.id as other_purchase_id, cp.provider_payment_id as name
from public.coin_purchases as cp
join fleet.payment_keys as k on k.key = cp.provider_payment_id
    and (k.provider = lower(btrim(cp.provider)) or k.key ~ '^(pi|cs|ch|py)_')
join public.coin_purchases as other on other.payment_id = k.payment_id
left join fleet.joined_purchases as j on j.purchase_id = cp.id
where cp.granted_at is not null and other.granted_at is not null and cp.id <> other.id
    and j.payment_id is distinct from k.payment_id
