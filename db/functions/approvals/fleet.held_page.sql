-- Definer: the console may look at what is held, not at every table.
create or replace function fleet.held_page(
    p_reason text,
    p_after_at timestamptz,
    p_after_event bigint,
    p_after_purchase bigint,
    p_limit integer,
    p_event_id bigint default null
)
returns table (
    purchase_id bigint,
    event_id bigint,
    provider text,
    provider_payment_id text,
    reason text,
    profile_id uuid,
    sku text,
    quantity integer,
    coin_amount bigint,
    amount_minor bigint,
    amount numeric,
    currency text,
    usd_amount numeric,
    held_since timestamptz,
    waits_for text,
    approvals text[]
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    with held as materialized (
        -- Level 1: which, in their order; only these are then looked at closely.
        select h.purchase_id, h.event_id
        from (
            -- Level 2: all that is held, by what its order needs; purchases first.
            select cp.id as purchase_id, e.id as event_id, cp.created_at as since
            from public.coin_purchases as cp
            left join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
            where cp.granted_at is null and cp.status = 'pending' and (cp.decision is null or cp.refund_requested)
                and (p_reason is null or cp.hold_reason = p_reason)
                and (p_event_id is null or e.id = p_event_id)
            union all
            -- Held without a purchase, as for want of a buyer.
            select null, e.id, e.received_at
            from fleet.inbox_events as e
            where e.state = 'held'
                and (p_reason is null or e.reason = p_reason)
                and (p_event_id is null or e.id = p_event_id)
                and not exists (
                    select 1
                    from public.coin_purchases as own
                    where own.provider_event_id = e.provider_event_id and own.provider = e.provider
                        and own.granted_at is null
                )
        ) as h
        where p_after_at is null
            or (h.since, coalesce(h.event_id, 0), coalesce(h.purchase_id, 0))
            > (p_after_at, p_after_event, p_after_purchase)
        order by h.since, coalesce(h.event_id, 0), coalesce(h.purchase_id, 0)
        limit p_limit
    )
    select
        cp.id, z.event_id, cp.provider, cp.provider_payment_id, cp.hold_reason, cp.profile_id, cp.sku, cp.quantity,
        cp.coin_amount, cp.amount_minor, fleet.major_amount(cp.amount_minor, cp.currency), cp.currency, cp.usd_amount,
        cp.created_at,
        case
            when cp.refund_requested then 'refund'
            when a.people is not null then 'second_approver'
            else 'decision'
        end,
        coalesce(a.people, '{}')
    from held as z
    join public.coin_purchases as cp on cp.id = z.purchase_id
    left join lateral (
        select array_agg(d.who order by d.id) as people
        from fleet.decisions as d
        where d.purchase_id = cp.id and d.outcome = 'first_approval'
    ) as a on true
    union all
    select
        null, e.id, e.provider, coalesce(s.provider_payment_id, p.name), e.reason,
        coalesce(h.profile_id, s.buyer_id), coalesce(h.sku, s.products), coalesce(h.quantity, s.quantity),
        null, p.held_minor, fleet.major_amount(p.held_minor, p.held_currency), p.held_currency,
        fleet.usd_amount(p.held_minor, p.held_currency, now()), e.received_at,
        case when p.rejection is not null then 'refund' else 'decision' end, '{}'
    from held as z
    join fleet.inbox_events as e on e.id = z.event_id
    left join lateral (
        select q.held_minor, q.held_currency, q.rejection, min(k.key) as name
        from fleet.payments as q
        left join fleet.payment_keys as k on k.payment_id = q.id and k.provider = e.provider
        where q.id = e.payment_id
        group by q.id
    ) as p on true
    left join fleet.payment_halves as h on h.provider = e.provider and h.provider_event_id = e.provider_event_id
    left join lateral (
        select t.provider_payment_id, t.buyer_id, t.quantity, k.products
        from fleet.store_payments as t
        cross join lateral fleet.price_line_items(t.provider, fleet.line_items_of_payment(t.payment_id)) as k
        where t.payment_id = e.payment_id
        -- So that the payments of stores are priced that are held, and no others.
        limit 1
    ) as s on true
    where z.purchase_id is null
    order by 14, 2, 1
$$;

revoke all on function fleet.held_page(text, timestamptz, bigint, bigint, integer, bigint)
from public, anon, authenticated, service_role;
comment on function fleet.held_page(text, timestamptz, bigint, bigint, integer, bigint) is
    'What waits for a person, or for the refund that a person asked for, of this reason and after this place (since '
    'when it is held, its event, its purchase), the longest held first; or what is held of this event. Finds its '
    'place among all that is held, and looks closely at p_limit of it.';
