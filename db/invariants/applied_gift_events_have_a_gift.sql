-- A gift event is applied if and only if its gift exists. An id that begins with `client:` belongs to a viewer's own
-- gift, not to an event of the app.
select e.id as event_id, e.provider_event_id, e.state
from fleet.inbox_events as e
left join public.gifts as g on g.provider_event_id = e.provider_event_id
where e.provider = 'app' and e.event_type = 'gift.sent'
    and case
        when e.state = 'applied' then g.id is null
        else g.id is not null and not starts_with(e.provider_event_id, 'client:')
    end
