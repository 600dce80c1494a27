create table upgrade.follows as
select
    row_number() over (order by j.source_key) as no,
    j.source_table, j.source_key,
    case when j.reason is null then 'move' else 'quarantine' end as fate,
    j.reason, null::text as account, null::numeric as coins,
    case when j.reason is not null then j.source_row end as source_row,
    j.follower_id, j.followee_id, (j.created)::timestamptz as created_at
from (
    select
        r.*,
        r.source_row ->> 'created_at' as created,
        f.profile_id as follower_id,
        t.profile_id as followee_id,
        case
            when f.profile_id is null then 'unknown_follower'
            when t.profile_id is null then 'unknown_followee'
            when f.profile_id = t.profile_id then 'self_follow'
            when row_number() over (partition by f.profile_id, t.profile_id order by r.source_key) > 1
                then 'duplicate_follow'
        end as reason
    from upgrade.raw_follows as r
    left join fleet.upgraded_users as f on f.old_id = r.old_follower_id
    left join fleet.upgraded_users as t on t.old_id = r.old_followee_id
) as j;
