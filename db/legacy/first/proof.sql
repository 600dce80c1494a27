-- Before = after + set aside, of the first generation. Before is read from the old tables, after from the current
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
    select
        'users',
        (select count(*) from legacy_first.users),
        (
            select count(*)
            from (select distinct u.id::text as old_id from legacy_first.users as u) as u
            join fleet.upgraded_users as m on m.old_id = u.old_id
            join public.profiles as p on p.id = m.profile_id
        ),
        null::numeric, null::numeric, null::text
    union all
    select
        'user_profiles',
        (select count(*) from legacy_first.user_profiles),
        (
            select count(distinct u.user_id)
            from legacy_first.user_profiles as u
            join fleet.upgraded_users as m on m.old_id = u.user_id::text
            join public.profiles as p on p.id = m.profile_id
        ),
        null, null, null
    union all
    select
        'coins',
        (select count(*) from legacy_first.coins),
        (
            select count(*)
            from legacy_first.coins as k
            join fleet.upgraded_users as m on m.old_id = k.user_id::text
            join public.profiles as p on p.id = m.profile_id
            where abs(coalesce(k.balance, 0)::numeric) <= upgrade.most()
        ),
        (select coalesce(sum(k.balance), 0) from legacy_first.coins as k),
        (select coalesce(sum(p.coin_balance), 0) from public.profiles as p),
        'coins'
    union all
    select
        'earnings', null, null,
        (
            select coalesce(sum(floor(g.coins::numeric * coalesce(t.streamer_share_bps, 7000) / 10000)), 0)
            from legacy_first.gifts as g
            left join public.gift_types as t on t.code = coalesce(nullif(btrim(g.gift_type::text), ''), 'unknown')
            where g.coins > 0 and g.coins <= upgrade.most()
        ),
        (select coalesce(sum(p.earnings_balance), 0) from public.profiles as p),
        'earnings'
    union all
    select
        'coin_purchases',
        (select count(*) from legacy_first.coin_purchases),
        (
            select count(*) from public.coin_purchases as n
            join (select distinct o.id, o.user_id::text as old_id, o.coins from legacy_first.coin_purchases as o) as o
                on o.id = n.id and o.coins = n.coin_amount
            join fleet.upgraded_users as m on m.old_id = o.old_id and m.profile_id = n.profile_id
        ),
        (select coalesce(sum(o.coins), 0) from legacy_first.coin_purchases as o),
        (select coalesce(sum(n.coin_amount), 0) from public.coin_purchases as n),
        'history'
    union all
    select
        'gifts',
        (select count(*) from legacy_first.gifts),
        (
            select count(*) from public.gifts as n
            join (
                select distinct o.id, o.sender_id::text as sender, o.recipient_id::text as recipient, o.coins
                from legacy_first.gifts as o
            ) as o on o.id = n.id and o.coins = n.coin_amount
            join fleet.upgraded_users as s on s.old_id = o.sender and s.profile_id = n.sender_id
            join fleet.upgraded_users as r on r.old_id = o.recipient and r.profile_id = n.recipient_id
        ),
        (select coalesce(sum(o.coins), 0) from legacy_first.gifts as o),
        (select coalesce(sum(n.coin_amount), 0) from public.gifts as n),
        'history'
    union all
    select
        'live_streams',
        (select count(*) from legacy_first.live_streams),
        (
            select count(*) from public.live_streams as n
            join (select distinct o.id, o.user_id::text as old_id from legacy_first.live_streams as o) as o
                on o.id = n.id
            join fleet.upgraded_users as m on m.old_id = o.old_id and m.profile_id = n.profile_id
        ),
        null, null, null
    union all
    select
        'gift_types',
        (select count(*) from legacy_first.gift_types),
        (
            select count(*) from public.gift_types as n
            join (select distinct o.code::text as code, o.coin_cost from legacy_first.gift_types as o) as o
                on o.code = n.code and o.coin_cost = n.coin_cost
        ),
        null, null, null
    union all
    select
        'follows',
        (select count(*) from legacy_first.follows),
        (
            select count(*) from public.follows as n
            join (
                select distinct f.profile_id as follower, t.profile_id as followee
                from legacy_first.follows as o
                join fleet.upgraded_users as f on f.old_id = o.follower_id::text
                join fleet.upgraded_users as t on t.old_id = o.followee_id::text
            ) as o on o.follower = n.follower_id and o.followee = n.followee_id
        ),
        null, null, null
    union all
    select
        'user_links', (select count(*) from legacy_first.user_links), (select count(*) from public.user_links),
        null, null, null
    union all
    select
        'chat_messages',
        (select count(*) from legacy_first.chat_messages),
        (
            select count(*) from public.chat_messages as n
            join (
                select distinct o.id, o.user_id::text as old_id, o.body::text as body
                from legacy_first.chat_messages as o
            ) as o
                on o.id = n.id and o.body = n.body
            join fleet.upgraded_users as m on m.old_id = o.old_id and m.profile_id = n.profile_id
        ),
        null, null, null
$$;
