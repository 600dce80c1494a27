-- A granted purchase added its coins once, to its own buyer, and reversals took out as many as its row says; a held
-- purchase moved nothing.
select cp.id as purchase_id, cp.status, cp.coin_amount, cp.refunded_coins, l.granted, v.taken
from public.coin_purchases as cp
left join (
    select e.idempotency_key, e.profile_id, sum(e.amount) as granted
    from public.ledger_entries as e
    where e.account = 'coins' and e.reason = 'purchase'
    group by e.idempotency_key, e.profile_id
) as l
    on l.profile_id = cp.profile_id
    and l.idempotency_key = 'purchase:' || cp.provider || ':' || cp.provider_payment_id
left join (
    select split_part(e.idempotency_key, ':', 2)::bigint as purchase_id, e.profile_id, -sum(e.amount) as taken
    from public.ledger_entries as e
    where e.account = 'coins' and e.idempotency_key like 'reversal:%'
    group by 1, 2
) as v on v.profile_id = cp.profile_id and v.purchase_id = cp.id
where coalesce(l.granted, 0) <> case when cp.granted_at is null then 0 else cp.coin_amount end
    or coalesce(v.taken, 0) <> cp.refunded_coins
