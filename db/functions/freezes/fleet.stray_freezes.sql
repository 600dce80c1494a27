-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.stray_freezes()
returns table (payment_id bigint)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- What the money went back of was not frozen when freezes came, and is not now.
    select d.payment_id
    from fleet.disputes as d
    where d.status in ('warning_needs_response', 'warning_under_review') and d.told_at is not null
        and not exists (
            select 1
            from fleet.freezes as f
            where f.provider = d.provider and f.source = 'inquiry' and f.source_id = d.dispute_id
        )
        and not exists (select 1 from fleet.refunds as r where r.payment_id = d.payment_id)
        and not exists (select 1 from fleet.payments as p where p.id = d.payment_id and p.refund_total_minor > 0)
        and not exists (
            select 1
            from fleet.disputes as o
            where o.payment_id = d.payment_id and coalesce(o.status, 'unknown') not like 'warning\_%'
        )
    union
    -- An inquiry that ended, or whose payment turned out to be another's too.
    select d.payment_id
    from fleet.freezes as f
    join fleet.disputes as d on d.provider = f.provider and d.dispute_id = f.source_id
    where f.released_at is null and f.source = 'inquiry' and d.told_at is not null
        and (
            f.payment_id <> d.payment_id
            or coalesce(d.status, 'unknown') not in ('warning_needs_response', 'warning_under_review')
        )
    union
    -- A purchase that was made before its buyer's gifts could find that it is frozen.
    select f.payment_id
    from fleet.freezes as f
    join public.coin_purchases as cp on cp.payment_id = f.payment_id
    left join fleet.joined_purchases as j on j.purchase_id = cp.id and j.payment_id <> f.payment_id
    left join fleet.frozen_purchases as z on z.purchase_id = cp.id
    where f.released_at is null and j.purchase_id is null and z.purchase_id is null
    union
    select f.payment_id
    from fleet.freezes as f
    join fleet.joined_purchases as j on j.payment_id = f.payment_id
    left join fleet.frozen_purchases as z on z.purchase_id = j.purchase_id
    where f.released_at is null and z.purchase_id is null
$$;

revoke all on function fleet.stray_freezes() from public, anon, authenticated, service_role;
comment on function fleet.stray_freezes() is
    'The payments whose freezes are not what their inquiries and purchases say. Costs as much as is frozen.';
