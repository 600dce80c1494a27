create table upgrade.people as
select
    row_number() over (order by r.source_key) as no,
    r.source_table,
    r.source_key,
    case when r.reason is null then 'move' else 'quarantine' end as fate,
    r.reason,
    null::text as account,
    null::numeric as coins,
    case when r.reason is not null then r.source_row end as source_row,
    r.old_id,
    r.profile_id,
    r.username,
    r.reason is null
    and row_number() over (partition by r.username, r.reason is null order by r.source_key) > 1 as is_name_taken,
    r.display_name,
    r.avatar_url,
    r.bio,
    r.created_at
from upgrade.raw_people as r;
