-- The counts that /metrics and status show are those of the inbox.
select
    coalesce(t.provider, i.provider) as provider, coalesce(t.state, i.state) as state,
    t.events as tallied, i.events as held
from (
    select k.provider, k.state, sum(k.delta) as events
    from fleet.event_tallies as k
    group by k.provider, k.state
    having sum(k.delta) <> 0
) as t
full join (
    select e.provider, e.state, count(*) as events from fleet.inbox_events as e group by e.provider, e.state
) as i on i.provider = t.provider and i.state = t.state
where t.events is distinct from i.events
