-- While the app is told what happens, each gift that was applied or refused, and each purchase that was credited,
-- taken back, given back, held or rejected, has its message. Messages are kept for a week after the app took them.
with since as materialized (
    -- What was under way when the telling began may have begun before it.
    select greatest(s.app_told_since + interval '10 minutes', clock_timestamp() - interval '6 days') as at
    from fleet.settings as s
    where s.app_told_since is not null
),
states as (
    select 'gift-applied-' || g.id as key
    from since
    join public.gifts as g on g.created_at >= since.at
    union all
    select 'gift-rejected-' || e.id
    from since
    join fleet.inbox_events as e on e.processed_at >= since.at
    where e.provider = 'app' and e.event_type = 'gift.sent' and e.state = 'rejected'
    union all
    select 'purchase-credited-' || cp.id
    from since
    join public.coin_purchases as cp on cp.granted_at >= since.at
    union all
    select
        case when le.amount < 0 then 'purchase-reversed-' else 'purchase-reinstated-' end
        || split_part(le.idempotency_key, ':', 2) || '-' || le.transaction_id
    from since
    join public.ledger_entries as le on le.created_at >= since.at
    where le.leg = 0 and le.reason in ('refund', 'chargeback', 'reinstatement')
),
told as materialized (
    -- What is held or rejected may be so more than once, under further keys.
    select distinct split_part(c.key, '-', 2) as is_now, split_part(c.key, '-', 3) as purchase_id
    from since
    cross join fleet.provider_calls as c
    where c.kind = 'app.deliver' and (starts_with(c.key, 'purchase-held-') or starts_with(c.key, 'purchase-rejected-'))
)
select st.key
from states as st
left join fleet.provider_calls as c on c.key = st.key
where c.key is null
union all
select 'purchase-held-' || cp.id
from since
join public.coin_purchases as cp on cp.created_at >= since.at
left join told as t on t.is_now = 'held' and t.purchase_id = cp.id::text
where cp.granted_at is null and cp.decision is null and cp.status = 'pending' and t.is_now is null
union all
select 'purchase-rejected-' || d.purchase_id
from since
join fleet.decisions as d on d.decided_at >= since.at
left join told as t on t.is_now = 'rejected' and t.purchase_id = d.purchase_id::text
where d.verb = 'reject' and d.purchase_id is not null and t.is_now is null
