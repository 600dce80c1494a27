-- A payment grants coins once. Two grants that turned out to be one payment are listed here until a person closes
-- them with fleet.close_double_grant.
select
    j.payment_id,
    array_agg(cp.id order by cp.id) as purchase_ids,
    sum(cp.coin_amount) as coins,
    max(j.joined_by) as joined_by
from fleet.joined_purchases as j
join public.coin_purchases as cp on cp.id = j.purchase_id
where cp.granted_at is not null and not j.is_taken_back
group by j.payment_id
having count(*) > 1 and bool_or(j.closed_at is null)
