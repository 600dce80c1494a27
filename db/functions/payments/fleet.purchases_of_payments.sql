create or replace function fleet.purchases_of_payments(p_payment_ids bigint[])
returns table (purchase_id bigint, payment_id bigint, is_taken_back boolean)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
as $$
    select cp.id, u.payment_id, coalesce(j.is_taken_back, false)
    from unnest(p_payment_ids) as u (payment_id)
    cross join lateral (select p.id from public.coin_purchases as p where p.payment_id = u.payment_id limit 1) as cp
    left join lateral (select n.is_taken_back from fleet.joined_purchases as n where n.purchase_id = cp.id) as j on true
    union
    select j.purchase_id, j.payment_id, j.is_taken_back
    from fleet.joined_purchases as j
    where j.payment_id = any(p_payment_ids)
$$;

revoke all on function fleet.purchases_of_payments(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.purchases_of_payments(bigint[]) is
    'The purchases that each payment''s refunds and disputes are settled with: its own, and others that turned out to '
    'be granted for the same payment.';
