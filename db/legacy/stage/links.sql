create table upgrade.links as
select
    row_number() over (order by j.profile_id, j.position, j.source_key) as no,
    j.source_table, j.source_key,
    case when j.reason is null then 'move' else 'quarantine' end as fate,
    j.reason, null::text as account, null::numeric as coins,
    case when j.reason is not null then j.source_row end as source_row,
    j.profile_id, j.label, j.url,
    -- Positions are numbered anew, from 0 and without gaps, in the old order.
    row_number() over (partition by j.profile_id, j.reason is null order by j.position, j.source_key) - 1 as position
from (
    select
        r.*,
        u.profile_id,
        case
            when u.profile_id is null then 'unknown_owner'
            when coalesce(r.label, '') = '' or char_length(r.label) > 100 then 'label_refused'
            when r.url is null or r.url !~* '^https?://\S+$' or char_length(r.url) > 2048 then 'url_refused'
        end as reason
    from upgrade.raw_links as r
    left join fleet.upgraded_users as u on u.old_id = r.old_id
) as j;
