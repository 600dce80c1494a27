-- An event waits for its other half no longer than it was told to: it is judged by then, with or without. No wait is
-- longer than 35 days, and housekeeping ends each within a few minutes of its time.
select e.id as event_id, e.reason, e.next_attempt_at
from fleet.inbox_events as e
where e.state = 'waiting'
    and (
        e.next_attempt_at > now() + interval '36 days'
        or e.next_attempt_at < (
            select max(t.finished_at) - interval '30 minutes' from fleet.ticks as t where t.job = 'housekeeping'
        )
    )
