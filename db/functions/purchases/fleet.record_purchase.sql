create or replace function fleet.record_purchase(p_fact fleet.fact)
returns fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_event_key text := 'event:' || p_fact.provider_event_id;
    v_facts fleet.fact[];
    v_known record;
    v_outcome fleet.outcome;
begin
    -- Payment and event are locked as two names; they become names of one payment only if nothing contradicts that.
    p_fact.payment_keys := array[p_fact.provider_payment_id];
    v_facts := array[p_fact];
    p_fact.payment_keys := array[v_event_key];
    v_facts := fleet.lock_payments(v_facts || p_fact);
    perform fleet.lock_profiles(v_facts);

    -- A purchase that has one of the ids is preferred to one under another name of the payment. Read after the locks,
    -- so that nothing is missed.
    select
        (array_agg(k.id order by k.by_id desc, k.is_same desc, k.is_named desc, k.id))[1] as purchase_id,
        bool_and(k.is_same and k.is_named) filter (where k.by_id) as is_same_by_id,
        bool_or(k.is_same) filter (where k.is_named) as is_same_by_name,
        bool_or(not k.is_named and not k.by_id) as is_of_another_event,
        bool_and(k.is_same and k.is_reported) filter (where k.by_id) and not bool_or(k.is_named) as is_without_name
    into v_known
    from (
        select
            cp.id,
            u.by_id,
            v_facts[1].payment_id in (cp.payment_id, coalesce(j.payment_id, cp.payment_id)) as is_named,
            (cp.provider, cp.profile_id, cp.coin_amount) = (p_fact.provider, p_fact.profile_id, p_fact.direct_coins)
            as is_same,
            -- Stripe's own event named this payment by its intent; a session is a second name, not another payment.
            fleet.payment_key_kind(p_fact.provider_payment_id) = 'session'
            and fleet.payment_key_kind(cp.provider_payment_id) <> 'session'
            and p_fact.provider = 'stripe'
            and exists (
                select 1
                from fleet.inbox_events as e
                where e.provider = 'stripe' and e.provider_event_id = p_fact.provider_event_id
            ) as is_reported
        from (
            -- Each purchase once, and whether one of its ids is the same.
            select f.id, bool_or(f.by_id) as by_id
            from (
                -- By event id, by payment id, by payment, and by joined payment.
                select p.id, true as by_id
                from public.coin_purchases as p
                where p.provider_event_id = p_fact.provider_event_id
                union all
                select p.id, true
                from public.coin_purchases as p
                where p.provider_payment_id = p_fact.provider_payment_id
                union all
                -- A payment name that another provider uses too.
                select p.id, true
                from fleet.payment_keys as n
                join public.coin_purchases as p on p.payment_id = n.payment_id
                where n.key = p_fact.provider_payment_id
                    and n.provider in ('stripe', 'apple', 'google', 'app') and n.provider <> p_fact.provider
                union all
                select p.id, false
                from public.coin_purchases as p
                where p.payment_id in (v_facts[1].payment_id, v_facts[2].payment_id)
                union all
                select n.purchase_id, false
                from fleet.joined_purchases as n
                where n.payment_id in (v_facts[1].payment_id, v_facts[2].payment_id)
            ) as f
            group by f.id
        ) as u
        join public.coin_purchases as cp on cp.id = u.id
        left join fleet.joined_purchases as j on j.purchase_id = cp.id
    ) as k;
    if v_known.purchase_id is not null then
        if v_known.is_without_name then
            return row(
                null, null, null, v_facts[2].payment_id, v_known.purchase_id, null, true, null, null
            )::fleet.outcome;
        end if;
        if v_known.is_of_another_event or not coalesce(v_known.is_same_by_id, v_known.is_same_by_name, false) then
            perform fleet.raise_refusal('idempotency_conflict');
        end if;
    end if;

    p_fact.payment_keys := array[p_fact.provider_payment_id, v_event_key];
    v_facts := fleet.lock_payments(array[p_fact]);
    if v_known.purchase_id is not null then
        return row(null, null, null, v_facts[1].payment_id, v_known.purchase_id, null, true, null, null)::fleet.outcome;
    end if;
    select o.* into v_outcome from fleet.apply_purchases(v_facts, clock_timestamp()) as o;
    if v_outcome.reason in ('over_limit', 'velocity') then
        perform fleet.raise_refusal('purchase_' || v_outcome.reason);
    elsif v_outcome.reason in ('id_conflict', 'by_decision') then
        perform fleet.raise_refusal('idempotency_conflict');
    elsif v_outcome.purchase_id is null then
        perform fleet.raise_refusal(v_outcome.reason);
    end if;
    return v_outcome;
end
$$;

revoke all on function fleet.record_purchase(fleet.fact) from public, anon, authenticated, service_role;
comment on function fleet.record_purchase(fleet.fact) is
    'Records the purchase of a direct call, or finds the purchase that has its ids or whose payment it names. Raises '
    'CF008 if the ids are another purchase''s, or that has another buyer or other coins; unique_violation if another '
    'call took an id meanwhile.';
