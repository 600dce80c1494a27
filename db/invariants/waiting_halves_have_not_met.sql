-- An event waits for the other half of its payment, or for its session, only while none has come.
select e.id as event_id, e.reason, e.payment_id
from fleet.inbox_events as e
where e.state = 'waiting'
    and case e.reason
        when 'no_session_yet' then exists (
            select 1 from fleet.payment_halves as h where h.payment_id = e.payment_id and h.told_by = 'session'
        )
        when 'incomplete_metadata' then exists (
            select 1
            from fleet.payment_halves as h
            left join public.profiles as buyer on buyer.id = h.profile_id
            where h.payment_id = e.payment_id
            having count(distinct h.profile_id) = 1 and count(distinct h.profile_id) = count(distinct buyer.id)
                and count(distinct h.sku) = 1 and not bool_or(h.buyer_unreadable)
                and (count(h.quantity) > 0 or not bool_or(h.quantity_unreadable))
        )
        -- A buyer who was nobody may have signed up since: that is for housekeeping.
        and not exists (select 1 from fleet.inbox_events as o where o.payment_id = e.payment_id and o.state = 'held')
    end
