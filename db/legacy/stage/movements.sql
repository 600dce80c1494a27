create table upgrade.movements as
with examined as (
    select
        r.*,
        u.profile_id,
        case
            when r.id is null then 'no_id'
            when u.profile_id is null then 'unknown_profile'
            when abs(r.amount) > upgrade.most() then 'beyond_limits'
            when r.amount = 0 then 'no_effect'
        end as problem,
        row_number() over (
            partition by r.reference, r.kind, r.old_id, r.amount, r.account order by r.id
        ) as nth,
        -sum(r.amount) filter (where r.kind in ('refund', 'chargeback') and r.account = 'coins')
            over (partition by r.reference, r.old_id) as taken_back
    from upgrade.raw_movements as r
    left join fleet.upgraded_users as u on u.old_id = r.old_id
),
judged as (
    select
        r.*,
        -- Of several rows with one id the first that can move does.
        case
            when r.problem is not null then r.problem
            when row_number() over (partition by r.id, r.problem is null order by r.source_row) > 1 then 'duplicate_id'
        end as reason
    from examined as r
),
matched as (
    select
        j.*,
        -- If its gift or purchase moves, with the same coins, that makes the entry, so this row makes none.
        case
            when j.reason is null and j.nth = 1 and j.kind in ('gift_sent', 'gift_received') and g.id is not null
                then g.id
        end as gift_id,
        case
            when j.reason is not null then null
            when j.nth = 1 and j.kind = 'purchase' and j.account = 'coins' and p.coins = j.amount then p.id
            when j.kind in ('refund', 'chargeback') and j.account = 'coins' and p.old_taken = j.taken_back then p.id
        end as purchase_id
    from judged as j
    left join upgrade.gifts as g
        on g.id::text = j.reference and g.fate = 'move'
        and (
            (j.kind = 'gift_sent' and j.account = 'coins' and g.sender_id = j.profile_id and j.amount = -g.coins)
            or (
                j.kind = 'gift_received' and j.account = 'earnings'
                and g.recipient_id = j.profile_id and j.amount = g.streamer_revenue
            )
        )
    left join upgrade.purchases as p
        on p.id::text = j.reference and p.fate = 'move' and p.profile_id = j.profile_id
)
select
    row_number() over (order by m.id, m.source_key) as no,
    m.source_table, m.source_key,
    case when m.reason is null then 'move' when m.reason = 'no_effect' then 'archive' else 'quarantine' end as fate,
    m.reason, m.account, m.amount as coins,
    case when m.reason is not null then m.source_row end as source_row,
    m.id, m.profile_id, m.amount, m.kind, m.gift_id, m.purchase_id
from matched as m;
