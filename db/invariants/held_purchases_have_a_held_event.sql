-- A purchase that nobody has decided yet, or that was rejected and waits for its refund, has a held event, if an event
-- brought it, until its payment was refunded.
select cp.id as purchase_id, e.id as event_id, e.state
from public.coin_purchases as cp
join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
where (cp.granted_at is null and (cp.decision is null or cp.refund_requested) and cp.status = 'pending')
    <> (e.state = 'held')
    -- Or the event is pending, to be judged again.
    and not (cp.granted_at is null and (cp.decision is null or cp.refund_requested) and e.state = 'pending')
    -- Or it is an event of another payment, whose own id a direct call used up.
    and not ((cp.granted_at is not null or cp.decision is not null) and e.reason = 'id_conflict')
