-- The second generation's rows (legacy_second) in the shape that stage/ judges. Columns that a platform
-- may lack are read through jsonb, and are null where they are missing.

create view upgrade.raw_people as
select
    'profiles' as source_table,
    coalesce(p.id::text, p.ctid::text) as source_key,
    p.id::text as old_id,
    p.id as profile_id,
    case
        when p.id is null then 'no_id'
        when row_number() over (partition by p.id order by p.ctid) > 1 then 'duplicate_id'
        when not exists (select from auth.users as a where a.id = p.id) then 'no_auth_user'
    end as reason,
    p.username::text as username,
    r.source_row ->> 'display_name' as display_name,
    r.source_row ->> 'avatar_url' as avatar_url,
    r.source_row ->> 'bio' as bio,
    (r.source_row ->> 'created_at')::timestamptz as created_at,
    r.source_row
from legacy_second.profiles as p
cross join lateral (select to_jsonb(p) as source_row) as r;

create view upgrade.raw_streams as
select
    'live_streams' as source_table,
    coalesce(s.id::text, s.ctid::text) as source_key,
    s.id::bigint as id,
    s.profile_id::text as old_id,
    s.title::text as title,
    coalesce((r.source_row ->> 'live_available')::boolean, s.is_published, false)
    and r.source_row ->> 'ended_at' is null as live_available,
    (r.source_row ->> 'started_at')::timestamptz as started_at,
    (r.source_row ->> 'ended_at')::timestamptz as ended_at,
    r.source_row
from legacy_second.live_streams as s
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
from legacy_second.gift_types as t
cross join lateral (select to_jsonb(t) as source_row) as r;

create view upgrade.raw_purchases as
select
    'coin_purchases' as source_table,
    coalesce(p.id::text, p.ctid::text) as source_key,
    p.id::bigint as id,
    p.profile_id::text as old_id,
    p.provider::text as provider,
    p.provider_event_id::text as provider_event_id,
    p.provider_payment_id::text as provider_payment_id,
    p.coin_amount::numeric as coins,
    p.amount_cents::numeric as amount_minor,
    r.source_row ->> 'currency' as currency,
    p.status::text as status,
    coalesce(t.coins, 0) as coins_taken,
    p.created_at::timestamptz as purchased_at,
    r.source_row
from legacy_second.coin_purchases as p
cross join lateral (select to_jsonb(p) as source_row) as r
left join (
    select l.reference_id::text as reference, l.profile_id, -sum(l.amount::numeric) as coins
    from legacy_second.coin_ledger as l
    where lower(l.type::text) in ('refund', 'chargeback')
    group by 1, 2
) as t on t.reference = p.id::text and t.profile_id = p.profile_id;

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
    g.box_position::numeric as slot,
    g.coin_amount::numeric as coins,
    (r.source_row ->> 'streamer_revenue')::numeric as streamer_revenue,
    (r.source_row ->> 'platform_revenue')::numeric as platform_revenue,
    g.created_at::timestamptz as created_at,
    r.source_row
from legacy_second.gifts as g
cross join lateral (select to_jsonb(g) as source_row) as r;

create view upgrade.raw_movements as
select
    'coin_ledger' as source_table,
    coalesce(l.id::text, l.ctid::text) as source_key,
    l.id::bigint as id,
    l.profile_id::text as old_id,
    upgrade.account_of(r.source_row) as account,
    coalesce(l.amount, 0)::numeric as amount,
    lower(l.type::text) as kind,
    l.reference_id::text as reference,
    l.created_at::timestamptz as created_at,
    r.source_row
from legacy_second.coin_ledger as l
cross join lateral (select to_jsonb(l) as source_row) as r;

create view upgrade.raw_follows as
select
    'follows' as source_table,
    f.ctid::text as source_key,
    f.follower_id::text as old_follower_id,
    f.followee_id::text as old_followee_id,
    to_jsonb(f) as source_row
from legacy_second.follows as f;

create view upgrade.raw_links as
select
    'user_links' as source_table,
    l.ctid::text as source_key,
    l.profile_id::text as old_id,
    l.label::text as label,
    l.url::text as url,
    l.position::numeric as position,
    to_jsonb(l) as source_row
from legacy_second.user_links as l;

create view upgrade.raw_messages as
select
    'chat_messages' as source_table,
    coalesce(m.id::text, m.ctid::text) as source_key,
    m.id::bigint as id,
    m.stream_id::bigint as stream_id,
    m.profile_id::text as old_id,
    m.body::text as body,
    m.created_at::timestamptz as created_at,
    to_jsonb(m) as source_row
from legacy_second.chat_messages as m;
