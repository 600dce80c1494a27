-- A refund under a name by which a granted purchase was recorded takes that purchase's coins, whatever provider the
-- purchase was recorded for. fleet.close_id_conflict says that the two are one payment.
select cp.id as purchase_id, cp.provider, cp.provider_payment_id as name, k.payment_id
from public.coin_purchases as cp
join fleet.payment_keys as k on k.key = cp.provider_payment_id and k.payment_id <> cp.payment_id
    and (k.provider = lower(btrim(cp.provider)) or k.key ~ '^(pi|cs|ch|py)_')
left join fleet.joined_purchases as j on j.purchase_id = cp.id
left join public.coin_purchases as own on own.payment_id = k.payment_id
where cp.granted_at is not null and own.id is null and j.payment_id is distinct from k.payment_id
    and (
        exists (
            select 1
            from fleet.refunds as r
            where r.payment_id = k.payment_id and r.amount_minor > 0 and r.status not in ('failed', 'canceled')
        )
        or exists (select 1 from fleet.payments as p where p.id = k.payment_id and p.refund_total_minor > 0)
        or exists (
            select 1
            from fleet.disputes as d
            where d.payment_id = k.payment_id and coalesce(d.status, '') not in ('won', 'prevented', 'warning_closed')
        )
    )
