-- An event that waits for an answer has its call, and wakes when that is done; no call is made for an event that is
-- finished. A call that is done wakes its event at once, or by the event's own time, an hour later; if it is dead, the
-- event says so as soon. A purchase that is not paid yet is asked for again and again, each time by the same call.
select e.id as event_id, c.id as call_id, c.state
from fleet.inbox_events as e
left join fleet.provider_calls as c on c.event_id = e.id
cross join lateral (
    select e.reason in ('no_answer_yet', 'not_paid_yet', 'unknown_token_yet', 'dead_call') as for_answer
) as w
where e.state = 'waiting'
    and (
        (w.for_answer and c.id is null)
        or (
            (
                (w.for_answer and c.state = 'done')
                or (e.reason is distinct from 'dead_call' and c.state = 'dead')
            )
            and c.finished_at < clock_timestamp() - interval '2 hours'
        )
    )
union all
select c.event_id, c.id, c.state
from fleet.provider_calls as c
join fleet.inbox_events as e on e.id = c.event_id
where c.state = 'pending' and e.state not in ('pending', 'waiting')
