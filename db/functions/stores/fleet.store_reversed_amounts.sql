-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.store_reversed_amounts(p_payment_ids bigint[])
returns table (payment_id bigint, purchase_id bigint, is_taken_back boolean, paid numeric, refunded numeric)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    with shares as (
        select s.payment_id, f.whole, least(f.part, f.whole) as part
        from fleet.store_payments as s
        left join lateral (
            -- The products, each by its coins; by their number while one is not in the price list.
            select
                sum(w.quantity * w.coins) as coins, sum(w.quantity) as quantity, min(w.coins) as cheapest,
                sum(least(w.reversed_quantity, w.quantity) * w.coins) as reversed
            from (
                -- Each line with what one of it counts.
                select
                    l.quantity::numeric as quantity, l.reversed_quantity::numeric as reversed_quantity,
                    case when bool_and(l.unit_coins is not null) over () then l.unit_coins else 1 end::numeric as coins
                from fleet.store_line_items as l
                where l.payment_id = s.payment_id
            ) as w
        ) as sold on true
        left join lateral (
            select bool_or(v.voided_quantity = 0) as is_whole, sum(v.voided_quantity)::numeric as quantity
            from fleet.store_voids as v
            where v.payment_id = s.payment_id
        ) as voided on true
        -- Apple rounds to three decimals of a percent: what is within the rounding of k of so many is k of so many.
        cross join lateral (
            select
                s.reversed_milli_percent::numeric as share,
                s.quantity::numeric as units,
                round(s.reversed_milli_percent::numeric * s.quantity / 100000) as units_back
        ) as a
        cross join lateral (
            select
                case
                    when s.provider = 'google' then coalesce(sold.coins, a.units)
                    when a.is_of_units then a.units
                    else 100000
                end as whole,
                case
                    when s.provider = 'google' then greatest(
                        sold.reversed,
                        coalesce(sold.coins, a.units) * a.share / 100000,
                        -- Records that name no product: of the cheapest so many, until the store says more.
                        case
                            when voided.is_whole or voided.quantity >= coalesce(sold.quantity, a.units)
                                then coalesce(sold.coins, a.units)
                            else voided.quantity * coalesce(sold.cheapest, 1)
                        end
                    )
                    when a.is_of_units then a.units_back
                    else a.share
                end as part
            from (
                select a.*, abs(a.share * a.units - a.units_back * 100000) * 2 <= a.units as is_of_units
            ) as a
        ) as f
        where s.payment_id = any(p_payment_ids)
    )
    select h.payment_id, of.purchase_id, of.is_taken_back, h.whole, h.part
    from shares as h
    cross join lateral fleet.purchases_of_payments(array[h.payment_id]) as of
    union all
    select h.payment_id, null, false, h.whole, h.part
    from shares as h
    join fleet.payments as p on p.id = h.payment_id
    where p.held_event_id is not null and not exists (select 1 from fleet.purchases_of_payments(array[p.id]))
$$;

revoke all on function fleet.store_reversed_amounts(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.store_reversed_amounts(bigint[]) is
    'What part of each payment of a store went back: refunded of paid, in coins of the price list or in the store''s '
    'own parts, not in money. A row per purchase, and one per payment that is held without a purchase.';
