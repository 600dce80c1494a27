-- A gift event says applied if and only if its gift exists.
select e.id as event_id, e.provider_event_id, e.state
from fleet.inbox_events as e
left join public.gifts as g on g.provider_event_id = e.provider_event_id
where e.provider = 'app' and e.event_type = 'gift.sent' and (e.state = 'applied') <> (g.id is not null)
