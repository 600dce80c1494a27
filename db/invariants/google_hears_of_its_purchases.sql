-- Google refunds what nobody acknowledges or consumes: each granted purchase has its call that consumes it, and each
-- held one its call that acknowledges it, unless Google said that it is done.
select cp.id as purchase_id, cp.status, a.verb
from fleet.store_payments as s
join public.coin_purchases as cp on cp.payment_id = s.payment_id
cross join lateral (
    select case
        when cp.status = 'confirmed' and not s.is_consumed then 'consume'
        when cp.status = 'pending' and cp.decision is null and not s.is_acknowledged and not s.is_consumed
            then 'acknowledge'
    end as verb
) as a
where s.provider = 'google' and s.provider_payment_id is not null and a.verb is not null
    and not exists (
        select 1
        from fleet.provider_calls as c
        where c.key = 'coinfleet:' || a.verb || ':' || encode(sha256(convert_to(s.provider_payment_id, 'UTF8')), 'hex')
    )
