create table upgrade.purchases as
with examined as (
    select
        r.source_table, r.source_key, r.source_row, r.id, r.coins, r.coins_taken, u.profile_id, r.purchased_at,
        lower(btrim(r.status)) as status,
        p.old_name as old_provider,
        case when p.old_name in ('stripe', 'apple', 'google', 'app') then p.old_name else 'app' end as provider,
        nullif(btrim(r.provider_event_id), '') as provider_event_id,
        coalesce(nullif(btrim(r.provider_payment_id), ''), t.prefix || 'payment:' || r.id) as payment_id,
        coalesce(r.amount_minor, 0) as amount_minor,
        case when lower(r.currency) ~ '^[a-z]{3}$' then lower(r.currency) else 'usd' end as currency,
        case
            when r.id is null then 'no_id'
            -- The payment may still come: then its event makes the purchase.
            when lower(btrim(r.status)) in ('pending', 'created', 'failed', 'canceled', 'cancelled', 'expired')
                then 'never_granted'
            when u.profile_id is null then 'unknown_buyer'
            when coalesce(r.coins, 0) <= 0 then 'no_coins'
            when r.coins > upgrade.most() or r.amount_minor > upgrade.most() or r.id not between 1 and upgrade.most()
                then 'beyond_limits'
            when r.amount_minor < 0 then 'negative_amount'
            when lower(btrim(r.status)) in (
                'confirmed', 'completed', 'complete', 'paid', 'succeeded',
                'refunded', 'chargeback', 'charged_back', 'disputed'
            ) then null
            else 'unknown_status'
        end as problem
    from upgrade.raw_purchases as r
    cross join upgrade.this as t
    -- No event ever comes from a provider that is not ours.
    cross join lateral (select coalesce(lower(nullif(btrim(r.provider), '')), 'stripe') as old_name) as p
    left join fleet.upgraded_users as u on u.old_id = r.old_id
),
-- Of several rows with one id, or with one payment, the first that can move does.
identified as (
    select
        p.*,
        coalesce(
            p.problem,
            case
                when row_number() over (partition by p.id, p.problem is null order by p.source_row) > 1
                    then 'duplicate_id'
            end
        ) as fault
    from examined as p
),
judged as (
    select
        p.*,
        coalesce(
            p.fault,
            -- Its coins are in the buyer's trusted balance; one payment is one purchase.
            case
                when row_number() over (partition by p.payment_id, p.fault is null order by p.id) > 1
                    then 'duplicate_payment_id'
            end
        ) as reason,
        row_number() over (partition by p.provider_event_id, p.fault is null order by p.id) as event_copy
    from identified as p
)
select
    row_number() over (order by n.id, n.source_key) as no,
    n.source_table, n.source_key,
    case when n.reason is null then 'move' when n.reason = 'never_granted' then 'archive' else 'quarantine' end as fate,
    n.reason, 'history' as account, coalesce(n.coins, 0) as coins,
    case when n.reason is not null then n.source_row end as source_row,
    n.id, n.profile_id, n.provider, n.old_provider, n.payment_id, n.amount_minor, n.currency, n.purchased_at,
    case when n.event_copy = 1 then n.provider_event_id end as event_id,
    n.provider_event_id as old_event_id,
    r.old_taken,
    upgrade.takable(r.old_taken, n.coins, n.amount_minor) as coins_taken,
    n.status in ('chargeback', 'charged_back', 'disputed') and n.amount_minor > 0 as is_disputed
from judged as n
cross join lateral (
    select case
        when n.status in ('refunded', 'chargeback', 'charged_back', 'disputed') then n.coins
        else least(greatest(n.coins_taken, 0), n.coins)
    end as old_taken
) as r;
