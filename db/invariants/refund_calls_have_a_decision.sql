-- Money goes back at a provider only because a person decided so: each call that refunds is of one such decision.
select c.id as call_id, c.key, c.state
from fleet.provider_calls as c
where c.kind like '%.refund'
    and not exists (
        select 1
        from fleet.decisions as d
        where c.key = 'coinfleet:refund:' || d.id and d.outcome = 'refund_requested'
    )
