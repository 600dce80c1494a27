-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too. What is asked of
-- each freeze is a look-up: for `exists` PostgreSQL may read the whole table once instead.
create or replace function fleet.causes_of_release(p_payment_ids bigint[], p_now timestamptz)
returns table (provider text, source text, source_id text, cause text)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select
        f.provider, f.source, f.source_id,
        case
            when not f.is_open then f.source
            -- An inquiry that became a dispute keeps its id, and is one of these.
            when (
                select true
                from fleet.disputes as d
                where d.payment_id = f.payment_id and coalesce(d.status, 'unknown') not like 'warning\_%'
                limit 1
            ) then 'dispute'
            when (
                select true
                from fleet.refunds as r
                where r.payment_id = f.payment_id and r.status not in ('failed', 'canceled')
                    and r.created_at >= f.opened_at
                limit 1
            ) then 'refund'
            -- A total that was told since, less what it is known to include from before or what failed afterwards.
            when exists (
                select 1
                from fleet.payments as p
                where p.id = f.payment_id and p.refund_total_at >= f.opened_at
                    and p.refund_total_minor - coalesce(p.uncaptured_minor, 0) > (
                        select coalesce(sum(r.amount_minor), 0)
                        from fleet.refunds as r
                        where r.payment_id = p.id
                            and coalesce(r.created_at, '-infinity') <= p.refund_total_at
                            and case
                                when r.status in ('failed', 'canceled') then r.undone_at > p.refund_total_at
                                else coalesce(r.created_at, '-infinity') < f.opened_at
                            end
                    )
            ) then 'refund'
            -- Nothing is left to freeze, whenever it went back.
            when (
                select bool_and(cp.status in ('refunded', 'chargeback'))
                from fleet.purchases_of_payments(array[f.payment_id]) as of
                cross join lateral (
                    select p.status from public.coin_purchases as p where p.id = of.purchase_id limit 1
                ) as cp
            ) then 'refund'
            when f.source = 'early_fraud_warning' and f.opened_at <= p_now - interval '120 days' then 'expiry'
        end
    from fleet.freezes as f
    where f.payment_id = any(p_payment_ids)
$$;

revoke all on function fleet.causes_of_release(bigint[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.causes_of_release(bigint[], timestamptz) is
    'The freezes of these payments, each with what releases it by now, a person''s release aside: the provider ended '
    'it, a dispute of the payment, a refund since it was opened, or 120 days after a warning; null if nothing does.';
