create table upgrade.gift_types as
select
    row_number() over (order by j.code, j.source_key) as no,
    j.source_table, j.source_key,
    case when j.reason is null then 'move' else 'quarantine' end as fate,
    j.reason, null::text as account, null::numeric as coins,
    case when j.reason is not null then j.source_row end as source_row,
    j.code, coalesce(j.name, j.code) as name, j.coin_cost, j.streamer_share_bps, j.active
from (
    select
        p.*,
        -- Of several rows with one code the first that can move does.
        case
            when p.problem is not null then p.problem
            when row_number() over (partition by p.code, p.problem is null order by p.source_row) > 1
                then 'duplicate_code'
        end as reason
    from (
        select
            r.*,
            case
                when coalesce(r.code, '') = '' then 'no_code'
                when r.coin_cost is null or r.coin_cost not between 1 and upgrade.most() then 'cost_out_of_range'
            end as problem
        from upgrade.raw_gift_types as r
    ) as p
) as j;

-- Types that only gifts name are made too, inactive, so that each gift keeps its type and nobody can send more of it.
insert into upgrade.gift_types
select
    (select count(*) from upgrade.gift_types) + row_number() over (order by g.code),
    null, g.code, 'move', null, null, null, null,
    g.code, g.code, g.coin_cost, null, false
from (
    select
        coalesce(nullif(btrim(r.gift_type), ''), 'unknown') as code,
        least(greatest(max(r.coins), 1), upgrade.most()) as coin_cost
    from upgrade.raw_gifts as r
    group by 1
) as g
where not exists (select from upgrade.gift_types as t where t.code = g.code and t.fate = 'move');
