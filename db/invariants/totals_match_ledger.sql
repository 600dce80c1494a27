-- The totals on profiles are those of the ledger and of the gifts.
select pr.id as profile_id
from public.profiles as pr
left join (
    select
        e.profile_id,
        sum(e.amount) filter (where e.account = 'coins' and e.reason = 'purchase') as purchased,
        -sum(e.amount) filter (where e.account = 'coins' and e.reason = 'gift') as spent
    from public.ledger_entries as e
    where e.account = 'coins'
    group by e.profile_id
) as l on l.profile_id = pr.id
left join (
    select g.recipient_id, sum(g.coin_amount) as received from public.gifts as g group by g.recipient_id
) as r on r.recipient_id = pr.id
where (pr.total_purchased, pr.total_spent, pr.total_gifts_sent, pr.total_gifts_received)
    is distinct from (coalesce(l.purchased, 0), coalesce(l.spent, 0), coalesce(l.spent, 0), coalesce(r.received, 0))
