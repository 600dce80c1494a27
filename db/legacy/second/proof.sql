-- Before = after + set aside, of the second generation. Before is read from the old tables, after from the current
-- ones; what was staged in between plays no part.
create function upgrade.proof()
returns table (
    line text, rows_before bigint, rows_moved bigint, coins_before numeric, coins_after numeric,
    account text
)
language sql
stable
set search_path = ''
as $$
    -- A row of the old ledger is in the new one under a key of its own, or as an entry of its gift or purchase.
    with old_entries as (
        select
            l.id, l.profile_id, l.amount, upgrade.account_of(to_jsonb(l)) as account,
            lower(l.type::text) as kind, l.reference_id::text as reference
        from legacy_second.coin_ledger as l
    ),
    own_entries as (
        select e.idempotency_key, e.profile_id, e.account, e.amount
        from public.ledger_entries as e
        where e.leg = 0 and e.idempotency_key like 'upgrade:second:ledger:%'
    ),
    event_entries as (
        select
            g.id::text as reference, e.profile_id, e.account, e.amount, array['gift_sent', 'gift_received'] as kinds
        from public.gifts as g
        join public.ledger_entries as e on e.idempotency_key = 'gift:' || g.provider_event_id
        where e.profile_id is not null
        union all
        select p.id::text, e.profile_id, e.account, e.amount, array['purchase']
        from public.coin_purchases as p
        join public.ledger_entries as e on e.idempotency_key = 'purchase:' || p.provider || ':' || p.provider_payment_id
        where e.profile_id is not null
    ),
    taken_back as (
        select p.id::text as reference, p.profile_id
        from public.coin_purchases as p
        join (
            select o.reference, o.profile_id, -sum(o.amount) as coins
            from old_entries as o
            where o.kind in ('refund', 'chargeback') and o.account = 'coins'
            group by o.reference, o.profile_id
        ) as o
            on o.reference = p.id::text and o.profile_id = p.profile_id
            and upgrade.takable(o.coins, p.coin_amount, p.amount_minor) = p.refunded_coins
    )
    select
        'profiles',
        (select count(*) from legacy_second.profiles),
        (select count(*) from public.profiles as p where p.id in (select o.id from legacy_second.profiles as o)),
        null::numeric, null::numeric, null::text
    union all
    select
        'coin_ledger',
        (select count(*) from legacy_second.coin_ledger),
        (
            -- Of several rows with one id at most one has moved.
            select count(distinct o.id)
            from (
                select
                    o.id, o.profile_id, o.amount, o.account, o.kind, o.reference,
                    row_number() over (
                        partition by o.reference, o.kind, o.profile_id, o.amount, o.account order by o.id
                    ) as nth
                from old_entries as o
            ) as o
            left join own_entries as e
                on e.idempotency_key = 'upgrade:second:ledger:' || o.id
                and e.profile_id = o.profile_id and e.account = o.account and e.amount = o.amount
            left join event_entries as v
                on v.reference = o.reference and o.kind = any(v.kinds) and o.nth = 1
                and v.profile_id = o.profile_id and v.account = o.account and v.amount = o.amount
            left join taken_back as t
                on t.reference = o.reference and t.profile_id = o.profile_id and o.kind in ('refund', 'chargeback')
            where o.amount <> 0
                and (e.idempotency_key is not null or v.reference is not null or t.reference is not null)
        ),
        (select coalesce(sum(o.amount), 0) from old_entries as o where o.account = 'coins'),
        (select coalesce(sum(p.coin_balance), 0) from public.profiles as p),
        'coins'
    union all
    select
        'earnings', null, null,
        (select coalesce(sum(o.amount), 0) from old_entries as o where o.account = 'earnings'),
        (select coalesce(sum(p.earnings_balance), 0) from public.profiles as p),
        'earnings'
    union all
    select
        'coin_purchases',
        (select count(*) from legacy_second.coin_purchases),
        (
            select count(*) from public.coin_purchases as n
            join (select distinct o.id, o.profile_id, o.coin_amount from legacy_second.coin_purchases as o) as o
                on o.id = n.id and o.profile_id = n.profile_id and o.coin_amount = n.coin_amount
        ),
        (select coalesce(sum(o.coin_amount), 0) from legacy_second.coin_purchases as o),
        (select coalesce(sum(n.coin_amount), 0) from public.coin_purchases as n),
        'history'
    union all
    select
        'gifts',
        (select count(*) from legacy_second.gifts),
        (
            select count(*) from public.gifts as n
            join (
                select distinct o.id, o.sender_id, o.recipient_id, o.coin_amount from legacy_second.gifts as o
            ) as o
                on o.id = n.id and o.sender_id = n.sender_id and o.recipient_id = n.recipient_id
                and o.coin_amount = n.coin_amount
        ),
        (select coalesce(sum(o.coin_amount), 0) from legacy_second.gifts as o),
        (select coalesce(sum(n.coin_amount), 0) from public.gifts as n),
        'history'
    union all
    select
        'live_streams',
        (select count(*) from legacy_second.live_streams),
        (
            select count(*) from public.live_streams as n
            join (select distinct o.id, o.profile_id from legacy_second.live_streams as o) as o
                on o.id = n.id and o.profile_id = n.profile_id
        ),
        null, null, null
    union all
    select
        'gift_types',
        (select count(*) from legacy_second.gift_types),
        (
            select count(*) from public.gift_types as n
            join (select distinct o.code::text as code, o.coin_cost from legacy_second.gift_types as o) as o
                on o.code = n.code and o.coin_cost = n.coin_cost
        ),
        null, null, null
    union all
    select
        'follows',
        (select count(*) from legacy_second.follows),
        (
            select count(*) from public.follows as n
            join (select distinct o.follower_id, o.followee_id from legacy_second.follows as o) as o
                on o.follower_id = n.follower_id and o.followee_id = n.followee_id
        ),
        null, null, null
    union all
    select
        'user_links', (select count(*) from legacy_second.user_links), (select count(*) from public.user_links),
        null, null, null
    union all
    select
        'chat_messages',
        (select count(*) from legacy_second.chat_messages),
        (
            select count(*) from public.chat_messages as n
            join (select distinct o.id, o.profile_id, o.body::text as body from legacy_second.chat_messages as o) as o
                on o.id = n.id and o.profile_id = n.profile_id and o.body = n.body
        ),
        null, null, null
$$;
