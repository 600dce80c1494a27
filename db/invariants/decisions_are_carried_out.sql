-- What people decided is what was done: a purchase that was approved is granted, by as many people as it needed, for
-- the coins that they named; one that was rejected is not; a refund that was asked for has its call; and nothing was
-- decided by nobody.
select cp.id as purchase_id, cp.decision, d.outcome
from public.coin_purchases as cp
left join fleet.decisions as d
    on d.purchase_id = cp.id and d.outcome in ('granted', 'refund_requested', 'closed')
where case cp.decision
        when 'approved' then
            d.outcome is distinct from 'granted'
            or cp.granted_at is null
            or cp.coin_amount <> d.coins
            or (
                d.needs_second
                and not exists (
                    select 1
                    from fleet.decisions as f
                    where f.purchase_id = cp.id and f.outcome = 'first_approval' and f.coins = d.coins
                        and lower(f.who) <> lower(d.who)
                )
            )
        when 'rejected' then
            d.verb is distinct from 'reject'
            or cp.granted_at is not null
            or cp.refund_requested <> (d.outcome = 'refund_requested')
        else d.id is not null or cp.refund_requested
    end
union all
select d.purchase_id, d.verb, d.outcome
from fleet.decisions as d
where d.outcome = 'refund_requested'
    and not exists (select 1 from fleet.provider_calls as c where c.key = 'coinfleet:refund:' || d.id)
union all
-- An event without a purchase that counts as rejected was rejected by a person.
select e.id, e.state, e.reason
from fleet.inbox_events as e
left join fleet.payments as p on p.id = e.payment_id
where e.state = 'rejected' and e.reason = 'by_decision' and p.rejection is null
    and not exists (select 1 from fleet.decisions as d where d.event_id = e.id)
    and not exists (
        select 1
        from public.coin_purchases as cp
        where cp.provider = e.provider and cp.provider_event_id = e.provider_event_id and cp.decision = 'rejected'
    )
