-- Each gift took its coins from the sender and gave both shares, once.
select g.id as gift_id
from public.gifts as g
left join (
    select
        e.idempotency_key,
        -sum(e.amount) filter (where e.account = 'coins') as paid,
        sum(e.amount) filter (where e.account = 'earnings') as earned,
        sum(e.amount) filter (where e.account = 'platform_revenue') as kept
    from public.ledger_entries as e
    where e.reason = 'gift'
    group by e.idempotency_key
) as l on l.idempotency_key = 'gift:' || g.provider_event_id
where (g.coin_amount, g.streamer_revenue, g.platform_revenue)
    is distinct from (l.paid, coalesce(l.earned, 0), coalesce(l.kept, 0))
