create table upgrade.streams as
select
    row_number() over (order by j.id, j.source_key) as no,
    j.source_table, j.source_key,
    case when j.reason is null then 'move' else 'quarantine' end as fate,
    j.reason, null::text as account, null::numeric as coins,
    case when j.reason is not null then j.source_row end as source_row,
    j.id, j.profile_id, j.title, j.live_available, j.started_at, j.ended_at
from (
    select
        p.*,
        -- Of several rows with one id the first that can move does.
        case
            when p.problem is not null then p.problem
            when row_number() over (partition by p.id, p.problem is null order by p.source_row) > 1 then 'duplicate_id'
        end as reason
    from (
        select
            r.*,
            u.profile_id,
            case
                when r.id is null then 'no_id'
                when r.id not between 1 and upgrade.most() then 'beyond_limits'
                when u.profile_id is null then 'unknown_owner'
            end as problem
        from upgrade.raw_streams as r
        left join fleet.upgraded_users as u on u.old_id = r.old_id
    ) as p
) as j;
