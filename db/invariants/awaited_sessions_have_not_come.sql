-- A payment intent waits for its checkout session only while none has come.
select e.id as event_id, e.reason, e.payment_id
from fleet.inbox_events as e
where e.state = 'waiting' and e.reason = 'no_session_yet'
    and exists (select 1 from fleet.payment_halves as h where h.payment_id = e.payment_id and h.told_by = 'session')
