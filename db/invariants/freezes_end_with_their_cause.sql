-- A freeze is open only while the provider says so, no dispute or later refund of its payment stands and something of
-- it is left; and what was released has a reason for it.
select f.provider, f.source, f.source_id, f.payment_id, f.released_by
from fleet.freezes as f
left join fleet.disputes as q
    on f.source = 'inquiry' and q.provider = f.provider and q.dispute_id = f.source_id
cross join lateral (
    select
        exists (
            select 1
            from fleet.disputes as d
            where d.payment_id = f.payment_id and left(coalesce(d.status, ''), 8) <> 'warning_'
        ) as has_dispute,
        exists (
            select 1
            from fleet.refunds as r
            where r.payment_id = f.payment_id and r.status in ('pending', 'requires_action', 'succeeded')
                and r.created_at >= f.opened_at
        ) as has_later_refund,
        exists (
            select 1 from fleet.refunds as r where r.payment_id = f.payment_id
            union all
            select 1 from fleet.payments as p where p.id = f.payment_id and p.refund_total_minor > 0
        ) as has_refund,
        exists (
            select 1
            from public.coin_purchases as cp
            where cp.payment_id = f.payment_id and cp.status in ('refunded', 'chargeback')
                and not exists (select 1 from fleet.joined_purchases as j where j.purchase_id = cp.id)
        ) as is_reversed
) as w
where not f.is_released_by_person
    and (
        f.released_at is null and (not f.is_open or w.has_dispute or w.has_later_refund or w.is_reversed)
        or f.released_at is not null and f.is_open and f.source <> 'early_fraud_warning'
        and not (w.has_dispute or w.has_refund or w.is_reversed)
        or q.dispute_id is not null
        and f.is_open <> (coalesce(q.status, '') in ('warning_needs_response', 'warning_under_review'))
    )
