create or replace function fleet.decide_store_purchases(p_facts fleet.fact[], p_now timestamptz)
returns fleet.purchase_decision[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_decisions fleet.purchase_decision[];
begin
    p_facts := fleet.complete_store_facts(p_facts);
    select array_agg(
        row(
            c.event_id, c.payment_id, c.purchase_id, c.creates, c.creates and c.hold_reason is null,
            c.state, c.reason, c.profile_id, c.provider, c.provider_event_id, c.provider_payment_id, c.products,
            c.quantity, c.coin_amount, c.amount_minor, c.currency, c.usd_amount, c.hold_reason,
            coalesce(c.usd_amount > c.approval_threshold_usd, false),
            null::inet, c.country_code, null::text, c.purchased_at, c.received_at
        )::fleet.purchase_decision
        order by c.ordinality
    ) into v_decisions
    from (
        -- Level 3: the outcome of each event, and its reason.
        select
            f.*,
            case
                when f.is_of_another then null
                when f.creates then nextval('public.coin_purchases_id_seq')
                else f.known_purchase_id
            end as purchase_id,
            case
                when f.is_of_another then 'rejected'
                when f.own_hold is not null then 'held'
                when f.is_rejected then 'rejected'
                when f.is_duplicate then 'applied'
                when f.creates then case when f.hold_reason is null then 'applied' else 'held' end
                when f.ids_are_taken then 'held'
                when f.is_of_nothing then 'ignored'
                when f.names_nobody then 'held'
                when f.received_at > p_now - interval '15 minutes' then 'waiting'
                else 'held'
            end as state,
            case
                when f.is_of_another then 'not_the_buyer'
                when f.own_hold is not null then f.own_hold
                when f.is_rejected then 'by_decision'
                when f.is_duplicate then 'duplicate_payment'
                when f.creates then f.hold_reason
                when f.ids_are_taken then 'id_conflict'
                when f.is_of_nothing then 'sandbox'
                when f.names_nobody then 'unknown_buyer'
                when f.received_at > p_now - interval '15 minutes' then 'no_buyer_yet'
                else 'unknown_buyer'
            end as reason
        from (
            -- Level 2: which of them creates its payment's purchase, and what holds it.
            select
                q.*,
                q.known_purchase_id is null and not q.is_rejected and q.ordinality is not distinct from q.first_complete
                    as creates,
                q.known_purchase_id is not null or q.ordinality <> q.first_complete as is_duplicate,
                case
                    when q.coins is null then 'unknown_product'
                    when q.usd_amount is null then 'no_fx_rate'
                    when q.usd_amount > q.purchase_limit_usd then 'over_limit'
                    -- More coins than an account can count, or than this one can.
                    when q.coins > 9223372036854775807 then 'over_limit'
                    when q.most_coins > 4611686018427387903 - q.coin_amount
                        and not fleet.has_room(q.profile_id, q.coin_amount, true) then 'over_limit'
                    when q.usd_amount > q.approval_threshold_usd then 'needs_approval'
                end as hold_reason
            from (
                -- Level 1: the facts beside their purchase, buyer and products.
                select
                    u.event_id, u.ordinality, u.payment_id, u.received_at, u.profile_id, u.provider,
                    u.provider_event_id, u.provider_payment_id, u.amount_minor, u.currency, u.country_code,
                    u.purchased_at, u.is_of_another, u.is_of_nothing,
                    sold.products, sold.quantity, sold.coins,
                    least(coalesce(sold.coins, 0), 9223372036854775807)::bigint as coin_amount,
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
                    cp.id is null and (own.id is not null or named.id is not null) as ids_are_taken,
                    -- The price says only what the purchase is worth: 0 is 0 in every currency.
                    coalesce(
                        case
                            when u.amount_minor = 0 then 0
                            else fleet.usd_amount(u.amount_minor, u.currency, p_now)
                        end,
                        sold.list_usd
                    ) as usd_amount,
                    u.purchase_limit_usd,
                    u.approval_threshold_usd,
                    buyer.id is null and (u.profile_id is not null or u.buyer_unreadable) as names_nobody,
                    greatest(buyer.coin_balance, buyer.total_purchased) as most_coins,
                    -- Of a payment's events the first that may buy something.
                    min(u.ordinality) filter (
                        where buyer.id is not null and own.id is null and named.id is null
                            and not u.is_of_another and not u.is_of_nothing
                    ) over (partition by u.payment_id) as first_complete
                from (
                    -- Level 0: the facts as they came, and which of them buy nothing.
                    select
                        f.*,
                        coalesce(f.hold_reason = 'not_the_buyer', false) as is_of_another,
                        coalesce(f.is_sandbox, false) and s.store_sandbox = 'ignore'
                        and not coalesce(f.profile_id = any(s.sandbox_profiles), false) as is_of_nothing,
                        s.purchase_limit_usd, s.approval_threshold_usd
                    from unnest(p_facts) with ordinality as f
                    cross join fleet.settings as s
                ) as u
                cross join lateral fleet.price_line_items(u.provider, u.line_items) as sold
                left join public.coin_purchases as cp on cp.payment_id = u.payment_id
                left join lateral (
                    -- The purchase that this event made or was held for.
                    select
                        p.id, p.hold_reason, p.decision,
                        p.granted_at is null and p.provider = u.provider
                        and coalesce(j.payment_id, p.payment_id) = u.payment_id as is_the_events,
                        p.decision is null or (p.refund_requested and p.status = 'pending') as waits
                    from public.coin_purchases as p
                    left join fleet.joined_purchases as j on j.purchase_id = p.id
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
                where u.kind = 'store_purchase'
            ) as q
        ) as f
    ) as c;
    return fleet.limit_sandbox_grants(v_decisions, p_facts, p_now);
end
$$;

revoke all on function fleet.decide_store_purchases(fleet.fact[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.decide_store_purchases(fleet.fact[], timestamptz) is
    'Judges purchases of Apple and Google in input order: the product alone says the coins, and the price what the '
    'purchase is worth in US dollars. Writes nothing; the caller holds the locks and has kept the facts.';
