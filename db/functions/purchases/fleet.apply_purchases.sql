create or replace function fleet.apply_purchases(p_facts fleet.fact[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_decisions fleet.purchase_decision[];
    v_kinds text[] := array(select distinct f.kind from unnest(p_facts) as f);
    v_purchased bigint[];
    v_store_payments bigint[];
    v_all_granted boolean;
begin
    if not v_kinds && '{purchase,store_purchase}' then
        return;
    end if;
    if 'store_purchase' = any(v_kinds) then
        perform fleet.keep_store_facts(array(select f from unnest(p_facts) as f where f.kind = 'store_purchase'));
    end if;
    v_decisions := fleet.decide_purchases(p_facts, p_now);
    insert into public.coin_purchases (
        id, payment_id, profile_id, provider, provider_event_id, provider_payment_id, sku, quantity, coin_amount,
        amount_minor, currency, usd_amount, status, requires_approval, hold_reason, max_purchase_limit,
        ip_address, country_code, user_agent, purchased_at, granted_at, created_at
    )
    select
        d.purchase_id, d.payment_id, d.profile_id, d.provider, d.provider_event_id, d.provider_payment_id, d.sku,
        d.quantity, d.coin_amount, d.amount_minor, d.currency, d.usd_amount,
        case when d.granted then 'confirmed' else 'pending' end, d.requires_approval, d.hold_reason,
        s.purchase_limit_usd,
        d.ip_address, d.country_code, d.user_agent, d.purchased_at, case when d.granted then p_now end, p_now
    from unnest(v_decisions) as d
    cross join fleet.settings as s
    where d.creates;

    perform fleet.post_ledger(
        array(
            select leg.posting
            from unnest(v_decisions) with ordinality as d
            cross join lateral (
                -- What the buyer gets, and what was issued for it.
                values
                (
                    row(
                        d.ordinality, 0, d.profile_id, 'coins', d.coin_amount, 'purchase',
                        'purchase:' || d.provider || ':' || d.provider_payment_id, null
                    )::fleet.posting
                ),
                (
                    row(
                        d.ordinality, 1, null, 'coins_issued', -d.coin_amount, 'purchase',
                        'purchase:' || d.provider || ':' || d.provider_payment_id, null
                    )::fleet.posting
                )
            ) as leg (posting)
            where d.granted
            order by d.ordinality
        )
    );
    select
        array_agg(distinct d.payment_id) filter (where d.purchase_id is not null),
        array_agg(d.payment_id) filter (where d.provider in ('apple', 'google')),
        coalesce(bool_and(d.granted is true and d.sku is not null), false)
    into v_purchased, v_store_payments, v_all_granted
    from unnest(v_decisions) as d;
    if v_store_payments is not null then
        perform fleet.note_priced_purchases(
            array(select d.payment_id from unnest(v_decisions) as d where d.creates), p_only_missing => false
        );
        perform fleet.note_sandbox_grants(v_decisions, p_now);
        perform fleet.ignore_sandbox_reversals(
            array(select d.payment_id from unnest(v_decisions) as d where d.state = 'ignored'), p_now
        );
    end if;
    -- Nothing is missing of a package that is granted at once, and its payment has the amount of its own event.
    if not v_all_granted then
        perform fleet.judge_completed_payments(p_facts, v_decisions, p_now);
        perform fleet.store_payment_totals(p_facts);
        perform fleet.note_held_payments(v_decisions, p_now);
    end if;
    -- Also for a known purchase: this event may have shown that another payment's names are this one's.
    perform fleet.settle_purchased_payments(coalesce(v_purchased, '{}'), p_now);
    if v_store_payments is not null then
        perform fleet.request_store_calls(v_store_payments);
    end if;
    return query
    select
        d.event_id,
        case when own.granted_at is null then d.state else 'applied' end,
        case when own.id is null then d.reason when own.granted_at is null then own.hold_reason end,
        d.payment_id, d.purchase_id, null::bigint,
        d.purchase_id is not null and not d.creates,
        case d.state when 'waiting' then d.received_at + interval '15 minutes' when 'pending' then p_now end,
        null::text
    from unnest(v_decisions) as d
    -- A held purchase that was judged again because of another event of this batch.
    left join lateral (
        select cp.id, cp.granted_at, cp.hold_reason
        from public.coin_purchases as cp
        where d.state = 'held' and cp.id = d.purchase_id and cp.provider_event_id = d.provider_event_id
        limit 1
    ) as own on true;
end
$$;

revoke all on function fleet.apply_purchases(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_purchases(fleet.fact[], timestamptz) is
    'Grants or holds the purchases among the facts, and applies the reversals that came before them. One outcome per '
    'purchase fact.';
