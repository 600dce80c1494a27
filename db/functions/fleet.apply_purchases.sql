create or replace function fleet.apply_purchases(p_facts fleet.fact[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_decisions fleet.purchase_decision[] := fleet.decide_purchases(p_facts, p_now);
    v_unsettled_ids bigint[];
begin
    if v_decisions is null then
        return;
    end if;
    insert into public.coin_purchases (
        id, payment_id, profile_id, provider, provider_event_id, provider_payment_id, sku, quantity, coin_amount,
        amount_minor, currency, usd_amount, status, requires_approval, hold_reason, max_purchase_limit,
        ip_address, country_code, user_agent, purchased_at, granted_at, created_at
    )
    select
        d.purchase_id, d.payment_id, d.profile_id, d.provider, d.provider_event_id, d.provider_payment_id, d.sku,
        d.quantity, d.coin_amount, d.amount_minor, d.currency, d.usd_amount,
        case when d.granted then 'confirmed' else 'pending' end, d.requires_approval, d.hold_reason, s.purchase_limit_usd,
        d.ip_address, d.country_code, d.user_agent, d.purchased_at, case when d.granted then p_now end, p_now
    from unnest(v_decisions) as d
    cross join fleet.settings as s
    where d.creates;

    perform fleet.post_ledger(
        array(
            select leg.posting
            from unnest(v_decisions) with ordinality as d
            cross join lateral (
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
    -- What nothing was granted for may need another half, whatever it waits or is held for.
    v_unsettled_ids := array(
        select d.event_id
        from unnest(v_decisions) as d
        where not d.granted and d.event_id is not null
            and not exists (
                select 1 from public.coin_purchases as cp where cp.payment_id = d.payment_id and cp.granted_at is not null
            )
    );
    if cardinality(v_unsettled_ids) > 0 then
        perform fleet.add_halves(
            array(select f from unnest(p_facts) as f where f.kind = 'purchase' and f.event_id = any(v_unsettled_ids))
        );
        perform fleet.amend_purchases(
            array(select d.payment_id from unnest(v_decisions) as d where d.event_id = any(v_unsettled_ids) and not d.creates),
            p_now
        );
        -- The session that an intent waits for has come, and granted nothing: now it is known why.
        update fleet.inbox_events as e
        set state = 'pending', next_attempt_at = p_now
        from unnest(p_facts) as f
        where f.told_by = 'session' and f.event_id = any(v_unsettled_ids)
            and e.payment_id = f.payment_id and e.state = 'waiting' and e.reason = 'no_session_yet'
            and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = f.payment_id);
    end if;
    perform fleet.note_held_payments(v_decisions, p_now);
    -- Also for a known purchase: this event may have shown that another payment's names are this one's.
    perform fleet.meet_other_halves(
        array(select distinct d.payment_id from unnest(v_decisions) as d where d.purchase_id is not null),
        p_now
    );
    return query
    select
        d.event_id,
        case when own.granted_at is null then d.state else 'applied' end,
        case when own.id is null then d.reason when own.granted_at is null then own.hold_reason end,
        d.payment_id, d.purchase_id, null::bigint,
        d.purchase_id is not null and not d.creates,
        case when d.state = 'waiting' then d.received_at + interval '15 minutes' end,
        null::text
    from unnest(v_decisions) as d
    -- Held, and judged again already by what else this batch told.
    left join public.coin_purchases as own
        on d.state = 'held' and own.id = d.purchase_id and own.provider_event_id = d.provider_event_id;
end
$$;

revoke all on function fleet.apply_purchases(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_purchases(fleet.fact[], timestamptz) is 'Grants or holds the purchases among the facts, and applies the reversals that came before them. One outcome a purchase fact.';
