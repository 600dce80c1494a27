-- The first generation's rows (legacy_first) in the shape that stage/ judges. Columns that a platform
-- may lack are read through jsonb, and are null where they are missing.

create view upgrade.raw_people as
with given as (
    select g.old_id, min(g.profile_id::text)::uuid as profile_id, count(distinct g.profile_id) as choices
    from upgrade.given_users as g
    group by g.old_id
),
signed_up as (
    select lower(btrim(a.email)) as email, min(a.id::text)::uuid as profile_id, count(*) as choices
    from auth.users as a
    where btrim(a.email) <> ''
    group by 1
),
mapped as (
    select
        u.id,
        u.ctid as place,
        to_jsonb(u) as source_row,
        g.old_id is not null as is_given,
        case when g.old_id is not null then g.profile_id else s.profile_id end as profile_id,
        case
            when u.id is null then 'no_id'
            when row_number() over (partition by u.id order by u.ctid) > 1 then 'duplicate_id'
            when g.old_id is not null then case when g.choices > 1 then 'ambiguous_mapping' end
            when coalesce(btrim(u.email), '') = '' then 'no_email'
            when s.email is null then 'no_auth_user'
            when s.choices > 1 then 'ambiguous_email'
            when count(*) filter (where g.old_id is null) over (partition by lower(btrim(u.email))) > 1
                then 'ambiguous_email'
        end as reason
    from legacy_first.users as u
    left join given as g on g.old_id = u.id::text
    left join signed_up as s on s.email = lower(btrim(u.email))
),
claimed as (
    select
        m.*,
        count(*) filter (where m.reason is null) over (partition by m.profile_id) as claims,
        count(*) filter (where m.reason is null and m.is_given) over (partition by m.profile_id) as given_claims
    from mapped as m
)
select
    'users' as source_table,
    coalesce(c.id::text, c.place::text) as source_key,
    c.id::text as old_id,
    c.profile_id,
    case
        when c.reason is not null then c.reason
        when not exists (select from auth.users as a where a.id = c.profile_id) then 'no_auth_user'
        -- The given table has priority over e-mail addresses; two matches of the same kind are left to a person.
        when c.claims > 1 and not (c.is_given and c.given_claims = 1) then 'profile_claimed_twice'
    end as reason,
    p.username::text as username,
    p.source_row ->> 'display_name' as display_name,
    p.source_row ->> 'avatar_url' as avatar_url,
    p.source_row ->> 'bio' as bio,
    (c.source_row ->> 'created_at')::timestamptz as created_at,
    c.source_row
from claimed as c
left join (
    select distinct on (p.user_id) p.user_id, p.username, to_jsonb(p) as source_row
    from legacy_first.user_profiles as p
    order by p.user_id, p.ctid
) as p on p.user_id = c.id;

create view upgrade.raw_streams as
select
    'live_streams' as source_table,
    coalesce(s.id::text, s.ctid::text) as source_key,
    s.id::bigint as id,
    s.user_id::text as old_id,
    s.title::text as title,
    -- A stream that was published by hand had its camera on; from now on viewers decide.
    coalesce(s.is_published, false) and r.source_row ->> 'ended_at' is null as live_available,
    (r.source_row ->> 'started_at')::timestamptz as started_at,
    (r.source_row ->> 'ended_at')::timestamptz as ended_at,
    r.source_row
from legacy_first.live_streams as s
cross join lateral (select to_jsonb(s) as source_row) as r;

create view upgrade.raw_gift_types as
select
    'gift_types' as source_table,
    coalesce(t.code::text, t.ctid::text) as source_key,
    t.code::text as code,
    t.name::text as name,
    t.coin_cost::numeric as coin_cost,
    (r.source_row ->> 'streamer_share_bps')::numeric as streamer_share_bps,
    coalesce((r.source_row ->> 'active')::boolean, true) as active,
    r.source_row
from legacy_first.gift_types as t
cross join lateral (select to_jsonb(t) as source_row) as r;

create view upgrade.raw_purchases as
select
    'coin_purchases' as source_table,
    coalesce(p.id::text, p.ctid::text) as source_key,
    p.id::bigint as id,
    p.user_id::text as old_id,
    r.source_row ->> 'provider' as provider,
    null::text as provider_event_id,
    p.payment_id::text as provider_payment_id,
    p.coins::numeric as coins,
    p.amount_cents::numeric as amount_minor,
    r.source_row ->> 'currency' as currency,
    p.status::text as status,
    0::numeric as coins_taken,
    p.created_at::timestamptz as purchased_at,
    r.source_row
from legacy_first.coin_purchases as p
cross join lateral (select to_jsonb(p) as source_row) as r;

create view upgrade.raw_gifts as
select
    'gifts' as source_table,
    coalesce(g.id::text, g.ctid::text) as source_key,
    g.id::bigint as id,
    g.sender_id::text as old_sender_id,
    g.recipient_id::text as old_recipient_id,
    g.stream_id::bigint as stream_id,
    g.gift_type::text as gift_type,
    (r.source_row ->> 'quantity')::numeric as quantity,
    null::numeric as slot,
    g.coins::numeric as coins,
    null::numeric as streamer_revenue,
    null::numeric as platform_revenue,
    g.created_at::timestamptz as created_at,
    r.source_row
from legacy_first.gifts as g
cross join lateral (select to_jsonb(g) as source_row) as r;

-- The first generation has no ledger.
create view upgrade.raw_movements as
select
    ''::text as source_table, ''::text as source_key, 0::bigint as id, ''::text as old_id, ''::text as account,
    0::numeric as amount, ''::text as kind, ''::text as reference, now() as created_at, null::jsonb as source_row
where false;

create view upgrade.raw_follows as
select
    'follows' as source_table,
    f.ctid::text as source_key,
    f.follower_id::text as old_follower_id,
    f.followee_id::text as old_followee_id,
    to_jsonb(f) as source_row
from legacy_first.follows as f;

create view upgrade.raw_links as
select
    'user_links' as source_table,
    l.ctid::text as source_key,
    l.user_id::text as old_id,
    l.label::text as label,
    l.url::text as url,
    l.position::numeric as position,
    to_jsonb(l) as source_row
from legacy_first.user_links as l;

create view upgrade.raw_messages as
select
    'chat_messages' as source_table,
    coalesce(m.id::text, m.ctid::text) as source_key,
    m.id::bigint as id,
    m.stream_id::bigint as stream_id,
    m.user_id::text as old_id,
    m.body::text as body,
    m.created_at::timestamptz as created_at,
    to_jsonb(m) as source_row
from legacy_first.chat_messages as m;
