-- Halves are found by their index at any size of table, whatever its statistics say.
create or replace function fleet.combine_halves(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_payment_ids bigint[];
    v_one record;
begin
    -- Each event of most payments tells everything, and the same: only the others cost more than this check.
    v_payment_ids := array(
        select f.payment_id
        from unnest(p_facts) as f
        where f.kind = 'purchase' and f.direct_coins is null
        group by f.payment_id
        having count(*) > 1
            and (
                count(f.profile_id) < count(*) or min(f.profile_id::text) <> max(f.profile_id::text)
                or count(f.sku) < count(*) or min(f.sku collate "C") <> max(f.sku collate "C")
                or count(f.quantity) not in (0, count(*)) or min(f.quantity) <> max(f.quantity)
                or bool_or(f.by_reference or f.buyer_unreadable or f.quantity_unreadable)
                or max(cardinality(f.deductions_minor)) > 0
            )
            or exists (select 1 from fleet.payment_halves as h where h.payment_id = f.payment_id)
    );
    if cardinality(v_payment_ids) = 0 then
        return p_facts;
    end if;
    for v_one in
        with told as (
            select
                f.payment_id, f.profile_id::text as buyer, coalesce(f.buyer_unreadable, false) as buyer_unreadable,
                coalesce(f.by_reference, false) as by_reference, f.sku collate "C" as sku, f.quantity,
                coalesce(f.quantity_unreadable, false) as quantity_unreadable, f.currency, f.deductions_minor,
                false as is_attributed
            from unnest(p_facts) as f
            where f.kind = 'purchase' and f.direct_coins is null and f.payment_id = any(v_payment_ids)
            union all
            select
                h.payment_id, h.profile_id::text, h.buyer_unreadable, h.by_reference, h.sku collate "C", h.quantity,
                h.quantity_unreadable, h.currency, h.deductions_minor, h.is_attributed
            from fleet.payment_halves as h
            where h.payment_id = any(v_payment_ids)
        ),
        deducted as (
            select t.payment_id, t.currency, array_agg(distinct d.amount) as amounts
            from told as t
            cross join lateral unnest(t.deductions_minor) as d (amount)
            group by t.payment_id, t.currency
        ),
        folded as (
            select
                t.payment_id,
                -- A buyer named in metadata, readable or not, has priority over a client reference.
                coalesce(bool_or(not t.by_reference and (t.buyer is not null or t.buyer_unreadable)), false)
                    as is_named,
                min(t.buyer) filter (where not t.by_reference) as named,
                max(t.buyer) filter (where not t.by_reference) as also_named,
                min(t.buyer) filter (where t.by_reference) as referred,
                max(t.buyer) filter (where t.by_reference) as also_referred,
                min(t.buyer) filter (where t.is_attributed) as attributed,
                bool_or(t.buyer_unreadable) as buyer_unreadable,
                min(t.sku) as sku,
                max(t.sku) as other_sku,
                min(t.quantity) as quantity,
                max(t.quantity) as other_quantity,
                bool_or(t.quantity_unreadable) as quantity_unreadable
            from told as t
            group by t.payment_id
        ),
        combined as (
            select
                c.*,
                -- What a person said stands before all events.
                coalesce(c.attributed, case when c.is_named then c.named else c.referred end) as buyer,
                case
                    when c.attributed is not null then false
                    when c.is_named then c.named <> c.also_named
                    else c.referred <> c.also_referred
                end as buyers_differ
            from folded as c
        )
        select f.ordinality as no, f.profile_id is not null and f.sku is not null as told_whole, c.*, d.amounts
        from unnest(p_facts) with ordinality as f
        join combined as c on c.payment_id = f.payment_id
        left join deducted as d on d.payment_id = f.payment_id and d.currency = f.currency
        where f.kind = 'purchase' and f.direct_coins is null
    loop
        p_facts[v_one.no].told_whole := v_one.told_whole;
        p_facts[v_one.no].profile_id := case when not coalesce(v_one.buyers_differ, false) then v_one.buyer::uuid end;
        -- Halves that name different buyers name nobody.
        p_facts[v_one.no].buyer_unreadable := coalesce(v_one.buyers_differ, false)
            or v_one.buyer is null and v_one.buyer_unreadable;
        -- Without a readable quantity there is no price: without a product it is held for a person.
        p_facts[v_one.no].sku := case
            when v_one.sku = v_one.other_sku and (v_one.quantity is not null or not v_one.quantity_unreadable)
                then v_one.sku
        end;
        p_facts[v_one.no].quantity := v_one.quantity;
        p_facts[v_one.no].deductions_minor := v_one.amounts;
        p_facts[v_one.no].hold_reason := case
            when v_one.sku <> v_one.other_sku then 'unknown_product'
            when v_one.quantity <> v_one.other_quantity then 'wrong_amount'
        end;
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.combine_halves(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.combine_halves(fleet.fact[]) is
    'Sets in each purchase fact what all events of its payment say together, earlier batches included: buyer, product '
    'and quantity each from the half that names them, and what may be deducted. A buyer whom a person named counts '
    'before them. Halves that name different buyers name nobody (unknown_buyer); other differences set hold_reason: '
    'unknown_product for two products, wrong_amount for two quantities.';
