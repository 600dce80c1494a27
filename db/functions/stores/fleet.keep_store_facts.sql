-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.keep_store_facts(p_facts fleet.fact[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    -- A submission of somebody else's purchase changes nothing.
    v_others bigint[] := array(select o from fleet.submissions_of_others(p_facts) as o);
    v_kept fleet.fact[];
begin
    v_kept := array(
        select f
        from unnest(p_facts) as f
        where f.kind in ('store_purchase', 'store_snapshot', 'store_void') and f.event_id <> all(v_others)
    );
    if cardinality(v_kept) = 0 then
        return;
    end if;
    insert into fleet.store_payments as s (
        payment_id, provider, store_app, provider_payment_id, profile_id, buyer_unreadable, attributed_to, quantity,
        told_at, reversed_milli_percent, is_sandbox, is_acknowledged, is_consumed
    )
    select
        f.payment_id, min(f.provider), min(f.store_app), min(f.provider_payment_id),
        min(f.profile_id::text)::uuid, coalesce(bool_or(f.buyer_unreadable), false),
        case
            when not coalesce(bool_or(f.buyer_unreadable or f.profile_id is not null), false)
                then (array_agg(submitter.id order by f.ordinality) filter (where submitter.id is not null))[1]
        end,
        max(coalesce(sold.quantity, f.quantity, 1)),
        max(f.told_at),
        -- Apple's newest, of one time the larger; Google's largest.
        case min(f.provider)
            when 'google' then max(coalesce(f.reversed_milli_percent, 0))
            else (
                array_agg(coalesce(f.reversed_milli_percent, 0) order by f.told_at desc, f.reversed_milli_percent desc)
            )[1]
        end,
        coalesce(bool_or(f.is_sandbox), false), coalesce(bool_or(f.is_acknowledged), false),
        coalesce(bool_or(f.is_consumed), false)
    from unnest(v_kept) with ordinality as f
    left join public.profiles as submitter on submitter.id = f.submitted_by
    left join lateral (
        select sum(l.quantity)::integer as quantity from jsonb_to_recordset(f.line_items) as l (quantity integer)
    ) as sold on true
    group by f.payment_id
    on conflict (payment_id) do update
    set (
        provider_payment_id, profile_id, buyer_unreadable, attributed_to, quantity, told_at, reversed_milli_percent,
        is_sandbox, is_acknowledged, is_consumed
    ) = (
        select
            n.provider_payment_id, n.profile_id, n.buyer_unreadable, n.attributed_to, n.quantity, n.told_at,
            n.reversed_milli_percent, n.is_sandbox, n.is_acknowledged, n.is_consumed
        from fleet.newer_store_payment(s, excluded) as n
    );
    insert into fleet.store_line_items as k (payment_id, product_id, quantity, reversed_quantity, unit_coins)
    select
        n.payment_id, n.product_id, max(n.quantity), max(n.reversed_quantity),
        fleet.coins_of_product(min(n.provider), n.product_id)
    from (
        -- Per fact each product once.
        select
            f.ordinality, f.payment_id, min(f.provider) as provider, l.product_id, sum(l.quantity)::integer as quantity,
            coalesce(sum(l.reversed_quantity), 0)::integer as reversed_quantity
        from unnest(v_kept) with ordinality as f
        cross join lateral jsonb_to_recordset(f.line_items) as l (
            product_id text, quantity integer, reversed_quantity integer
        )
        group by f.ordinality, f.payment_id, l.product_id
    ) as n
    group by n.payment_id, n.product_id
    on conflict (payment_id, product_id) do update
    set
        quantity = greatest(k.quantity, excluded.quantity),
        reversed_quantity = greatest(k.reversed_quantity, excluded.reversed_quantity)
    where (excluded.quantity, excluded.reversed_quantity) is distinct from (k.quantity, k.reversed_quantity);
    insert into fleet.store_voids (payment_id, told_at, voided_quantity)
    select f.payment_id, f.told_at, coalesce(f.voided_quantity, 0)
    from unnest(v_kept) as f
    where f.kind = 'store_void'
    on conflict do nothing;
end
$$;

revoke all on function fleet.keep_store_facts(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.keep_store_facts(fleet.fact[]) is
    'Keeps what Apple and Google tell of their payments, so that events in any order, told any number of times, end '
    'the same. A payment whose store names nobody is attributed to the first profile that submits it. The caller '
    'holds the locks of payments and profiles.';
