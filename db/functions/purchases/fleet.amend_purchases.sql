create or replace function fleet.amend_purchases(p_payment_ids bigint[], p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_held record;
    v_fact fleet.fact;
    v_facts fleet.fact[] := '{}';
    v_purchase_ids bigint[] := '{}';
    v_store_payments bigint[] := '{}';
    v_decisions fleet.purchase_decision[];
begin
    for v_held in
        select
            cp.*, e.id as event_id, e.received_at, h.payment_id as half_payment_id,
            h.profile_id as half_profile_id, h.buyer_unreadable, h.by_reference,
            h.sku as half_sku, h.quantity as half_quantity, h.quantity_unreadable, h.deductions_minor
        from public.coin_purchases as cp
        join fleet.payment_halves as h on h.provider = cp.provider and h.provider_event_id = cp.provider_event_id
        join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
        where h.payment_id = any(p_payment_ids) and cp.granted_at is null and cp.decision is null
            and cp.status = 'pending'
            and cp.hold_reason in ('wrong_amount', 'unknown_product', 'unknown_buyer', 'no_fx_rate')
            -- A purchase that shares its payment with another is left to a person: the other may be granted.
            and not exists (select 1 from fleet.joined_purchases as j where j.purchase_id = cp.id)
            -- A first approval is of what was known then.
            and not exists (select 1 from fleet.decisions as d where d.purchase_id = cp.id)
        order by cp.id
    loop
        v_fact := null;
        v_fact.kind := 'purchase';
        v_fact.event_id := v_held.event_id;
        v_fact.received_at := v_held.received_at;
        v_fact.payment_id := v_held.half_payment_id;
        v_fact.provider := v_held.provider;
        -- Under its own ids it would find them taken, by itself.
        v_fact.provider_event_id := 'amended:' || v_held.id;
        v_fact.provider_payment_id := 'amended:' || v_held.id;
        v_fact.profile_id := v_held.half_profile_id;
        v_fact.buyer_unreadable := v_held.buyer_unreadable;
        v_fact.by_reference := v_held.by_reference;
        v_fact.sku := v_held.half_sku;
        v_fact.quantity := v_held.half_quantity;
        v_fact.quantity_unreadable := v_held.quantity_unreadable;
        v_fact.deductions_minor := v_held.deductions_minor;
        v_fact.amount_minor := v_held.amount_minor;
        v_fact.currency := v_held.currency;
        v_fact.purchased_at := v_held.purchased_at;
        v_facts := v_facts || v_fact;
        v_purchase_ids := v_purchase_ids || v_held.id;
    end loop;
    for v_held in
        select s.purchase_id, s.fact from fleet.held_store_facts(p_payment_ids) as s
    loop
        v_facts := v_facts || v_held.fact;
        v_purchase_ids := v_purchase_ids || v_held.purchase_id;
        v_store_payments := v_store_payments || (v_held.fact).payment_id;
    end loop;
    if cardinality(v_facts) = 0 then
        return;
    end if;
    -- Judged as if they were new, by all rules, each as a payment that has no purchase: the payment id is the
    -- purchase's own id, negative.
    v_facts := fleet.combine_halves(v_facts);
    for v_i in 1 .. cardinality(v_facts) loop
        v_facts[v_i].payment_id := -v_purchase_ids[v_i];
    end loop;
    v_decisions := fleet.decide_purchases(v_facts, p_now);

    update public.coin_purchases as cp
    set
        profile_id = case when d.creates then d.profile_id else cp.profile_id end,
        sku = case when d.creates then d.sku else cp.sku end,
        quantity = case when d.creates then d.quantity else cp.quantity end,
        coin_amount = case when d.creates then d.coin_amount else cp.coin_amount end,
        usd_amount = case when d.creates then d.usd_amount else cp.usd_amount end,
        requires_approval = d.requires_approval,
        hold_reason = case when not d.granted then d.reason end,
        status = case when d.granted then 'confirmed' else cp.status end,
        granted_at = case when d.granted then p_now end
    from unnest(v_decisions) as d
    where cp.id = -d.payment_id and d.state in ('applied', 'held')
        and (d.granted or d.creates or d.reason is distinct from cp.hold_reason);

    perform fleet.note_priced_purchases(v_store_payments, p_only_missing => false);
    perform fleet.note_late_sandbox_grants(v_purchase_ids, p_now);
    perform fleet.post_ledger(
        array(
            select leg.posting
            from (
                -- The purchases that are granted, numbered: one ledger transaction each.
                select row_number() over (order by cp.id) as no, cp.profile_id, cp.coin_amount, k.key
                from unnest(v_decisions) as d
                join public.coin_purchases as cp on cp.id = -d.payment_id
                cross join lateral (select 'purchase:' || cp.provider || ':' || cp.provider_payment_id as key) as k
                where d.granted
            ) as p
            cross join lateral (
                -- Its two entries: to the buyer, from the coins issued.
                values
                (row(p.no, 0, p.profile_id, 'coins', p.coin_amount, 'purchase', p.key, null)::fleet.posting),
                (row(p.no, 1, null, 'coins_issued', -p.coin_amount, 'purchase', p.key, null)::fleet.posting)
            ) as leg (posting)
            order by p.no
        )
    );
    update fleet.inbox_events as e
    set
        state = case when d.granted then 'applied' else 'held' end,
        reason = case when not d.granted then d.reason end,
        processed_at = p_now
    from unnest(v_decisions) as d
    where e.id = d.event_id and e.state = 'held' and d.state in ('applied', 'held')
        and (d.granted or e.reason <> d.reason);
    perform fleet.request_store_calls(v_store_payments);
end
$$;

revoke all on function fleet.amend_purchases(bigint[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.amend_purchases(bigint[], timestamptz) is
    'Judges again, with all that later events told, the purchases of these payments that are held for their metadata, '
    'their amount or a missing rate and that no person has decided: grants them, or holds them for what is wrong now. '
    'The caller holds the locks of payments and profiles.';
