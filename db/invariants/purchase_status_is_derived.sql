-- A purchase is pending until it is granted; then refunded or chargeback if all of it was taken back, else confirmed.
select cp.id as purchase_id, cp.status, cp.granted_at, cp.coin_amount, cp.refunded_coins
from public.coin_purchases as cp
where case
    when cp.granted_at is null then cp.status = 'confirmed'
    when cp.refunded_coins = cp.coin_amount and cp.coin_amount > 0 then cp.status not in ('refunded', 'chargeback')
    else cp.status <> 'confirmed'
end
