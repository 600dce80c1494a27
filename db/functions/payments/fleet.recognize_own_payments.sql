-- Halves are found by their index at any size of table, whatever its statistics say.
create or replace function fleet.recognize_own_payments(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_ours bigint[];
    v_one record;
begin
    if not exists (select 1 from unnest(p_facts) as f where f.kind = 'verdict' and f.half is not null) then
        return p_facts;
    end if;
    v_ours := array(
        select f.payment_id from unnest(p_facts) as f where f.kind = 'names' and fleet.has_our_metadata(f.half)
    );
    for v_one in
        select
            f.ordinality as no, f.payment_keys[1] as name,
            h.quantity, coalesce(h.quantity_unreadable, false) as quantity_unreadable, p.*
        from unnest(p_facts) with ordinality as f
        cross join lateral jsonb_to_record(f.half) as h (quantity integer, quantity_unreadable boolean, paid jsonb)
        cross join lateral jsonb_to_record(h.paid) as p (
            amount_minor bigint, currency text, purchased_at timestamptz, country_code text
        )
        left join lateral (
            select cp.id, cp.sku, cp.provider
            from public.coin_purchases as cp
            where cp.provider_event_id = f.provider_event_id
            limit 1
        ) as own on true
        where f.kind = 'verdict' and f.payment_id is not null and jsonb_typeof(f.half -> 'paid') = 'object'
            and f.half ->> 'told_by' = 'intent'
            -- What another event or a call recorded is not bought again; what this event recorded is still its own.
            and (
                not exists (select 1 from public.coin_purchases as cp where cp.payment_id = f.payment_id)
                and own.id is null
                or own.sku is not null and own.provider = f.provider
            )
            and (
                f.payment_id = any(v_ours)
                or exists (
                    select 1
                    from fleet.payment_halves as o
                    join fleet.inbox_events as e
                        on e.provider = o.provider and e.provider_event_id = o.provider_event_id
                    where o.payment_id = f.payment_id and fleet.has_our_metadata(to_jsonb(o))
                        -- The reason is still there while the event is judged again.
                        and e.reason = 'unpaid'
                )
            )
    loop
        p_facts[v_one.no].kind := 'purchase';
        p_facts[v_one.no].state := null;
        p_facts[v_one.no].reason := null;
        p_facts[v_one.no].provider_payment_id := v_one.name;
        p_facts[v_one.no].buyer_unreadable := false;
        p_facts[v_one.no].by_reference := false;
        p_facts[v_one.no].quantity := v_one.quantity;
        p_facts[v_one.no].quantity_unreadable := v_one.quantity_unreadable;
        p_facts[v_one.no].amount_minor := v_one.amount_minor;
        p_facts[v_one.no].currency := v_one.currency;
        p_facts[v_one.no].purchased_at := v_one.purchased_at;
        p_facts[v_one.no].country_code := v_one.country_code;
        p_facts[v_one.no].told_by := 'intent';
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.recognize_own_payments(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.recognize_own_payments(fleet.fact[]) is
    'Turns each paid event without our metadata into a purchase if a session that was not paid yet told that its '
    'payment is ours: no session comes after money that is captured by hand. The caller holds the locks of the '
    'payments.';
