create table upgrade.gifts as
with priced as (
    select
        r.source_table, r.source_key, r.source_row, r.id, r.old_sender_id, r.old_recipient_id, r.stream_id,
        r.quantity, r.slot, r.coins, r.created_at, r.platform_revenue,
        sender.profile_id as sender_id,
        recipient.profile_id as recipient_id,
        t.code as gift_type,
        coalesce(r.coins > 0 and r.coins <= upgrade.most(), false) as is_worth_something,
        case
            when r.coins > 0 and r.coins <= upgrade.most() then coalesce(
                r.streamer_revenue,
                r.coins - r.platform_revenue,
                floor(r.coins * t.streamer_share_bps / 10000)
            )
        end as streamer_revenue
    from upgrade.raw_gifts as r
    left join public.gift_types as t on t.code = coalesce(nullif(btrim(r.gift_type), ''), 'unknown')
    left join fleet.upgraded_users as sender on sender.old_id = r.old_sender_id
    left join fleet.upgraded_users as recipient on recipient.old_id = r.old_recipient_id
),
examined as (
    select
        g.*,
        case
            when g.id is null then 'no_id'
            when coalesce(g.coins, 0) <= 0 then 'no_coins'
            when not g.is_worth_something or g.id not between 1 and upgrade.most() then 'beyond_limits'
            when g.sender_id is null then 'unknown_sender'
            when g.recipient_id is null then 'unknown_recipient'
            when g.sender_id = g.recipient_id then 'self_gift'
            when g.streamer_revenue not between 0 and g.coins or g.streamer_revenue + g.platform_revenue <> g.coins
                then 'shares_do_not_add_up'
        end as problem
    from priced as g
),
judged as (
    select
        g.*,
        -- Of several rows with one id the first that can move does.
        case
            when g.problem is not null then g.problem
            when row_number() over (partition by g.id, g.problem is null order by g.source_row) > 1 then 'duplicate_id'
        end as reason
    from examined as g
)
select
    row_number() over (order by j.id, j.source_key) as no,
    j.source_table, j.source_key,
    case when j.reason is null then 'move' else 'quarantine' end as fate,
    j.reason, 'history' as account, coalesce(j.coins, 0) as coins,
    case when j.reason is not null then j.source_row end as source_row,
    j.id, j.old_recipient_id, j.sender_id, j.recipient_id, j.gift_type, j.quantity, j.slot, j.stream_id,
    s.id as known_stream_id, j.streamer_revenue, j.created_at,
    -- Whether the recipient earned by it, also if its sender has no profile.
    j.recipient_id is not null and j.is_worth_something and j.old_sender_id is distinct from j.old_recipient_id as earns
from judged as j
left join public.live_streams as s on s.id = j.stream_id;
