-- Definer: operators may look at what is frozen, not at every table.
create or replace function fleet.open_freezes(p_limit integer default 100)
returns table (
    purchase_id bigint,
    profile_id uuid,
    provider text,
    provider_payment_id text,
    coins bigint,
    sources text[],
    opened_at timestamptz,
    ends_at timestamptz
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        cp.id, cp.profile_id, cp.provider, cp.provider_payment_id,
        case when cp.granted_at is null then 0 else cp.coin_amount - cp.refunded_coins end,
        w.sources, w.opened_at, w.ends_at
    from fleet.frozen_purchases as z
    join public.coin_purchases as cp on cp.id = z.purchase_id
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    cross join lateral (
        select
            array_agg(f.source || ' ' || f.source_id order by f.opened_at, f.source_id) as sources,
            min(f.opened_at) as opened_at,
            -- Only warnings end by themselves.
            case
                when bool_and(f.source = 'early_fraud_warning') then max(f.opened_at) + interval '120 days'
            end as ends_at
        from fleet.freezes as f
        where f.payment_id = coalesce(j.payment_id, cp.payment_id) and f.released_at is null
    ) as w
    order by w.opened_at, cp.id
    limit p_limit
$$;

revoke all on function fleet.open_freezes(integer) from public, anon, authenticated, service_role;
comment on function fleet.open_freezes(integer) is
    'The purchases that are frozen, how many coins each, by what, and when that ends by itself; the longest frozen '
    'first. Costs as much as is frozen.';
