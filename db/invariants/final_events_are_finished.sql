-- Every event is in one state, and a final one has the time when it was finished and, unless it is applied, a reason.
select e.id as event_id, e.state
from fleet.inbox_events as e
where e.state in ('applied', 'ignored', 'rejected', 'dead')
    and (e.processed_at is null or (e.state <> 'applied' and e.reason is null))
