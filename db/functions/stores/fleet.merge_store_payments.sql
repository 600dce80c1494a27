-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.merge_store_payments(p_kept bigint, p_merged bigint[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
begin
    if not exists (select from fleet.store_payments as s where s.payment_id = any(p_merged)) then
        return;
    end if;
    insert into fleet.store_payments as s (
        payment_id, provider, store_app, provider_payment_id, profile_id, buyer_unreadable, attributed_to,
        is_attributed_by_person, quantity, told_at, reversed_milli_percent, is_sandbox, is_acknowledged, is_consumed
    )
    select
        p_kept, min(m.provider), min(m.store_app), min(m.provider_payment_id), min(m.profile_id::text)::uuid,
        bool_or(m.buyer_unreadable),
        (array_agg(m.attributed_to order by m.is_attributed_by_person desc, m.payment_id)
            filter (where m.attributed_to is not null))[1],
        bool_or(m.is_attributed_by_person), max(m.quantity), max(m.told_at), max(m.reversed_milli_percent),
        bool_or(m.is_sandbox), bool_or(m.is_acknowledged), bool_or(m.is_consumed)
    from fleet.store_payments as m
    where m.payment_id = any(p_merged)
    on conflict (payment_id) do update
    set (
        provider_payment_id, profile_id, buyer_unreadable, attributed_to, is_attributed_by_person, quantity, told_at,
        reversed_milli_percent, is_sandbox, is_acknowledged, is_consumed
    ) = (
        select
            n.provider_payment_id, n.profile_id, n.buyer_unreadable, n.attributed_to, n.is_attributed_by_person,
            n.quantity, n.told_at, n.reversed_milli_percent, n.is_sandbox, n.is_acknowledged, n.is_consumed
        from fleet.newer_store_payment(s, excluded) as n
    );
    insert into fleet.store_line_items as k (payment_id, product_id, quantity, reversed_quantity, unit_coins)
    select p_kept, m.product_id, max(m.quantity), max(m.reversed_quantity), max(m.unit_coins)
    from fleet.store_line_items as m
    where m.payment_id = any(p_merged)
    group by m.product_id
    on conflict (payment_id, product_id) do update
    set
        quantity = greatest(k.quantity, excluded.quantity),
        reversed_quantity = greatest(k.reversed_quantity, excluded.reversed_quantity);
    insert into fleet.store_voids (payment_id, told_at, voided_quantity)
    select p_kept, m.told_at, m.voided_quantity
    from fleet.store_voids as m
    where m.payment_id = any(p_merged)
    on conflict do nothing;
    update fleet.sandbox_grants as g set payment_id = p_kept
    where g.payment_id = any(p_merged)
        and not exists (select 1 from fleet.sandbox_grants as o where o.payment_id = p_kept);
    delete from fleet.store_payments as s where s.payment_id = any(p_merged);
    delete from fleet.store_line_items as l where l.payment_id = any(p_merged);
    delete from fleet.store_voids as v where v.payment_id = any(p_merged);
end
$$;

revoke all on function fleet.merge_store_payments(bigint, bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.merge_store_payments(bigint, bigint[]) is
    'Moves what a store told of payments that turned out to be one. The caller holds the locks of their keys.';
