-- A store is told of a purchase only because it asked: each answer has its question, and Apple gets none by a call that
-- waits while customers have not agreed to it.
select c.id as call_id, c.key, c.state
from fleet.provider_calls as c
cross join fleet.settings as s
where c.kind in ('apple.answer_consumption', 'google.review_refund')
    and (
        not exists (
            select 1
            from fleet.store_inquiries as i
            where c.key = case i.provider
                when 'apple' then 'coinfleet:consumption:' || i.inquiry_id
                else 'coinfleet:review:' || encode(sha256(convert_to(i.inquiry_id, 'UTF8')), 'hex')
            end
        )
        or c.kind = 'apple.answer_consumption' and c.state = 'pending' and not s.apple_customers_consented
    )
