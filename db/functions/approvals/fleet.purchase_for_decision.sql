-- Definer: operators may look at a purchase, not at every table.
create or replace function fleet.purchase_for_decision(p_purchase_id bigint)
returns table (
    purchase_id bigint,
    event_id bigint,
    event_state text,
    provider text,
    provider_payment_id text,
    status text,
    hold_reason text,
    decision text,
    refund_requested boolean,
    profile_id uuid,
    username text,
    coin_balance bigint,
    sku text,
    quantity integer,
    coin_amount bigint,
    refunded_coins bigint,
    amount_minor bigint,
    amount numeric,
    currency text,
    usd_amount numeric,
    refunded numeric,
    package_coins bigint,
    package_price numeric,
    package_currency text,
    is_granted_otherwise boolean,
    purchase_limit_usd numeric,
    approval_threshold_usd numeric,
    second_approver_above_usd numeric,
    country_code text,
    ip_address inet,
    purchased_at timestamptz,
    held_since timestamptz,
    expires_at timestamptz,
    is_sandbox boolean
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        cp.id, e.id, e.state, cp.provider, cp.provider_payment_id, cp.status, cp.hold_reason, cp.decision,
        cp.refund_requested, cp.profile_id, pr.username, pr.coin_balance, cp.sku, cp.quantity, cp.coin_amount,
        cp.refunded_coins, cp.amount_minor, fleet.major_amount(cp.amount_minor, cp.currency), cp.currency,
        fleet.usd_of_purchase(cp, now()),
        fleet.major_amount(r.refunded, cp.currency), k.coin_amount, fleet.major_amount(k.amount_minor, k.currency),
        k.currency, fleet.is_granted_otherwise(cp.id),
        s.purchase_limit_usd, s.approval_threshold_usd, s.second_approver_above_usd,
        cp.country_code, cp.ip_address, cp.purchased_at, cp.created_at,
        case when cp.decision is null and cp.granted_at is null and cp.status = 'pending'
            then cp.created_at + s.hold_expires_days * interval '1 day'
        end,
        exists (
            select 1 from fleet.store_payments as s
            where s.payment_id = coalesce(j.payment_id, cp.payment_id) and s.is_sandbox
        )
    from public.coin_purchases as cp
    cross join fleet.settings as s
    join public.profiles as pr on pr.id = cp.profile_id
    left join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    left join lateral (
        -- A store tells what part of the payment went back.
        select
            case
                when exists (
                    select 1 from fleet.store_payments as s where s.payment_id = coalesce(j.payment_id, cp.payment_id)
                )
                    then round(cp.amount_minor * a.refunded / a.paid)
                else a.refunded + a.disputed
            end as refunded
        from fleet.reversed_amounts(array[coalesce(j.payment_id, cp.payment_id)]) as a
        where a.purchase_id = cp.id
    ) as r on true
    left join lateral (
        select c.coin_amount, c.amount_minor, c.currency
        from public.coin_packages as c
        where c.provider = cp.provider
            and case when cp.provider in ('apple', 'google') then coalesce(c.product_id, c.sku) else c.sku end = cp.sku
        order by c.currency = cp.currency desc, c.coin_amount
        limit 1
    ) as k on true
    where cp.id = p_purchase_id
$$;

revoke all on function fleet.purchase_for_decision(bigint) from public, anon, authenticated, service_role;
comment on function fleet.purchase_for_decision(bigint) is
    'A purchase with what a person needs to decide it: its buyer, its price beside the price list''s, what was '
    'refunded, and the rules in force.';
