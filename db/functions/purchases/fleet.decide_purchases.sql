create or replace function fleet.decide_purchases(p_facts fleet.fact[], p_now timestamptz)
returns fleet.purchase_decision[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_decisions fleet.purchase_decision[];
    v_breaches bigint[];
    v_has_wrong_amounts boolean;
begin
    p_facts := fleet.combine_halves(p_facts);
    select array_agg(
        row(
            c.event_id, c.payment_id, c.purchase_id, c.creates, c.creates and c.hold_reason is null,
            c.state, c.reason, c.profile_id, c.provider, c.provider_event_id, c.provider_payment_id, c.sku, c.quantity,
            c.coin_amount, c.amount_minor, c.currency, c.usd_amount, c.hold_reason,
            coalesce(c.usd_amount > c.approval_threshold_usd, false),
            c.ip_address, c.country_code, c.user_agent, c.purchased_at, c.received_at
        )::fleet.purchase_decision
        order by c.ordinality
    ), bool_or(c.hold_reason = 'wrong_amount')
    into v_decisions, v_has_wrong_amounts
    from (
        -- Level 3: the outcome of each event, and its reason.
        select
            f.*,
            case when f.creates then nextval('public.coin_purchases_id_seq') else f.known_purchase_id end
                as purchase_id,
            case
                when f.own_hold is not null then 'held'
                when f.is_rejected then 'rejected'
                when f.is_duplicate then 'applied'
                when f.creates then case when f.hold_reason is null then 'applied' else 'held' end
                when f.ids_are_taken then case when f.is_to_be_joined then 'pending' else 'held' end
                when f.names_nobody then 'held'
                when f.received_at > p_now - interval '15 minutes' then 'waiting'
                else 'held'
            end as state,
            case
                when f.own_hold is not null then f.own_hold
                when f.is_rejected then 'by_decision'
                when f.is_duplicate then 'duplicate_payment'
                when f.creates then f.hold_reason
                when f.ids_are_taken then case when not f.is_to_be_joined then 'id_conflict' end
                when f.names_nobody then 'unknown_buyer'
                when f.received_at > p_now - interval '15 minutes' then 'incomplete_metadata'
                when f.profile_id is null then 'unknown_buyer'
                else 'unknown_product'
            end as reason
        from (
            -- Level 2: which of them creates its payment's purchase, and what holds it.
            select
                q.*,
                q.known_purchase_id is null and not q.is_rejected and q.ordinality is not distinct from q.first_complete
                    as creates,
                q.known_purchase_id is not null or q.ordinality <> q.first_complete as is_duplicate,
                -- A direct call recorded this event while this transaction waited for the buyer's lock. Tried again,
                -- the event has the call's name too.
                case
                    when q.ids_are_taken and q.is_events_purchase then
                        fleet.was_recorded_meanwhile(q.provider, q.provider_event_id, q.payment_keys)
                    else false
                end as is_to_be_joined,
                case
                    when q.halves_differ is not null then q.halves_differ
                    when q.direct_coins is null and not q.has_package then 'unknown_product'
                    when q.usd_amount is null then 'no_fx_rate'
                    when q.direct_coins is null and not q.price_matches then 'wrong_amount'
                    when q.usd_amount > q.purchase_limit_usd then 'over_limit'
                    -- More coins than the account can count.
                    when q.most_coins > 4611686018427387903 - q.coin_amount
                        and not fleet.has_room(q.profile_id, q.coin_amount, true) then 'over_limit'
                    when q.usd_amount > q.approval_threshold_usd then 'needs_approval'
                end as hold_reason
            from (
                -- Level 1: the facts beside their purchase, buyer and price.
                select
                    u.event_id, u.ordinality, u.payment_id, u.received_at, u.profile_id, u.buyer_unreadable,
                    u.provider, u.provider_event_id, u.provider_payment_id, u.sku, coalesce(u.quantity, 1) as quantity,
                    u.amount_minor, u.currency, u.ip_address, u.country_code, u.user_agent, u.purchased_at,
                    u.direct_coins,
                    cp.id as known_purchase_id,
                    -- If the event of a purchase that still waits for a person is tried again, it stays held with its
                    -- purchase.
                    case
                        when own.is_the_events and own.waits then own.hold_reason
                        -- So does one that was held without a purchase and waits for its refund.
                        when cp.id is null and told.rejection = 'refund' and told.held_event_id = u.event_id
                            then told.held_reason
                    end as own_hold,
                    -- A person's word: no event of a rejected payment buys anything.
                    coalesce(own.is_the_events and own.decision = 'rejected', false)
                    or (cp.id is null and told.rejection is not null) as is_rejected,
                    u.hold_reason as halves_differ,
                    -- Ids are unique over all purchases: a purchase under another provider's name, or of another
                    -- payment, has these.
                    cp.id is null and (own.id is not null or named.id is not null) as ids_are_taken,
                    own.id is not null as is_events_purchase,
                    u.payment_keys,
                    priced.sku is not null as has_package,
                    -- Above bigint no price matches, so the purchase is held and its number of coins does not matter.
                    coalesce(
                        u.direct_coins,
                        least(coalesce(priced.coin_amount, 0)::numeric * coalesce(u.quantity, 1), 9223372036854775807)
                    )::bigint as coin_amount,
                    coalesce(
                        priced.currency = u.currency
                        and (
                            priced.amount_minor::numeric * coalesce(u.quantity, 1) = u.amount_minor
                            -- The total less shipping, or less shipping and tax.
                            or u.amount_minor - priced.amount_minor::numeric * coalesce(u.quantity, 1)
                            = any(u.deductions_minor::numeric[])
                        )
                        and priced.coin_amount::numeric * coalesce(u.quantity, 1) <= 9223372036854775807,
                        false
                    ) as price_matches,
                    coalesce(
                        u.direct_usd,
                        case
                            -- 0 is 0 in every currency.
                            when u.amount_minor = 0 then 0
                            when u.currency = 'usd' then least(u.amount_minor / 100.0, 9999999999.99)
                            else fleet.usd_amount(u.amount_minor, u.currency, p_now)
                        end
                    ) as usd_amount,
                    s.purchase_limit_usd,
                    s.approval_threshold_usd,
                    buyer.id is null and (u.profile_id is not null or u.buyer_unreadable) as names_nobody,
                    greatest(buyer.coin_balance, buyer.total_purchased) as most_coins,
                    -- Of a payment's events the first that tells everything by itself, else the first.
                    coalesce(
                        min(u.ordinality) filter (
                            where u.is_whole and u.is_priced and buyer.id is not null
                                and own.id is null and named.id is null
                        ) over of_payment,
                        min(u.ordinality) filter (
                            where u.is_priced and buyer.id is not null and own.id is null and named.id is null
                        ) over of_payment
                    ) as first_complete
                from (
                    -- Level 0: the facts as they came, and whether each can be priced.
                    select
                        f.*,
                        f.direct_coins is not null or f.sku is not null or f.hold_reason is not null as is_priced,
                        coalesce(f.told_whole, true) as is_whole
                    from unnest(p_facts) with ordinality as f
                ) as u
                cross join fleet.settings as s
                left join public.coin_purchases as cp on cp.payment_id = u.payment_id
                left join lateral (
                    -- The purchase that this event made or was held for.
                    select
                        p.id, p.hold_reason, p.decision,
                        p.granted_at is null and p.provider = u.provider
                        and coalesce(j.payment_id, p.payment_id) = u.payment_id as is_the_events,
                        p.decision is null or (p.refund_requested and p.status = 'pending') as waits
                    from public.coin_purchases as p
                    left join lateral (
                        select n.payment_id from fleet.joined_purchases as n where n.purchase_id = p.id limit 1
                    ) as j on true
                    where p.provider_event_id = u.provider_event_id
                    limit 1
                ) as own on true
                left join lateral (
                    -- A purchase that has one of the payment's names.
                    select p.id from public.coin_purchases as p
                    where p.provider_payment_id = any(u.payment_keys)
                    limit 1
                ) as named on true
                left join public.profiles as buyer on buyer.id = u.profile_id
                left join fleet.payments as told on told.id = u.payment_id
                left join lateral (
                    -- The package, in the payment's currency if it has that price.
                    select k.sku, k.coin_amount, k.amount_minor, k.currency
                    from public.coin_packages as k
                    where k.provider = u.provider and k.sku = u.sku
                    order by k.currency = u.currency desc
                    limit 1
                ) as priced on true
                where u.kind = 'purchase'
                window of_payment as (partition by u.payment_id)
            ) as q
        ) as f
    ) as c;

    if exists (select 1 from unnest(p_facts) as f where f.kind = 'store_purchase') then
        v_decisions := coalesce(v_decisions, '{}') || fleet.decide_store_purchases(p_facts, p_now);
    end if;
    if v_has_wrong_amounts then
        v_decisions := fleet.await_sessions(v_decisions, p_facts, p_now);
    end if;
    -- The order of reasons to hold: the payment's data or the limit, then velocity, then approval.
    v_breaches := fleet.velocity_breaches(v_decisions);
    if cardinality(v_breaches) = 0 then
        return v_decisions;
    end if;
    for v_i in 1 .. cardinality(v_decisions) loop
        if v_decisions[v_i].purchase_id = any(v_breaches) and v_decisions[v_i].creates
            and coalesce(v_decisions[v_i].hold_reason, 'needs_approval') = 'needs_approval'
        then
            v_decisions[v_i].hold_reason := 'velocity';
            v_decisions[v_i].reason := 'velocity';
            v_decisions[v_i].state := 'held';
            v_decisions[v_i].granted := false;
        end if;
    end loop;
    return v_decisions;
end
$$;

revoke all on function fleet.decide_purchases(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.decide_purchases(fleet.fact[], timestamptz) is
    'Judges purchase facts in input order: which fact creates the purchase of its payment, at what price, granted or '
    'held. Writes nothing; the caller holds the locks.';
