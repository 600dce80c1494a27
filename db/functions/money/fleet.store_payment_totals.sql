-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.store_payment_totals(p_facts fleet.fact[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- The purchase of a package has the amount of its own event. One without a product was recorded by a direct call,
    -- and a payment without a purchase may still be.
    insert into fleet.payments as p (id, total_minor, total_currency, total_told_by)
    select distinct on (f.payment_id) f.payment_id, t.amount_minor, t.currency, t.told_by
    from unnest(p_facts) as f
    cross join lateral (
        -- An event without our metadata may be of a direct call's payment all the same.
        select
            coalesce(f.told_by, f.half ->> 'told_by', 'session') as told_by,
            coalesce(f.amount_minor, (f.half #>> '{paid, amount_minor}')::bigint) as amount_minor,
            coalesce(f.currency, f.half #>> '{paid, currency}') as currency
    ) as t
    where f.kind in ('purchase', 'verdict') and f.payment_id is not null and f.event_id is not null
        and t.amount_minor > 0 and t.currency is not null
        and not exists (
            select 1 from public.coin_purchases as cp where cp.payment_id = f.payment_id and cp.sku is not null
        )
    order by f.payment_id, t.told_by, t.amount_minor desc, t.currency desc
    on conflict (id) do update
    set (total_minor, total_currency, total_told_by) = (
        select n.total_minor, n.total_currency, n.total_told_by
        from fleet.newer_payment(p, excluded) as n
    )
$$;

revoke all on function fleet.store_payment_totals(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.store_payment_totals(fleet.fact[]) is
    'Stores the totals that paid events tell of payments that a direct call recorded, or may still record. The caller '
    'holds the payments'' locks.';
