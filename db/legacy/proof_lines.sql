-- upgrade.proof() joined with what was set aside: a line for each old table, and for each kind of coins.
select
    p.line as name, p.rows_before, p.rows_moved,
    coalesce(a.rows, 0) as rows_archived,
    coalesce(q.rows, 0) as rows_quarantined,
    p.coins_before, p.coins_after,
    case when p.account = 'history' then coalesce(a.coins, 0) else 0 end as coins_archived,
    case p.account
        when 'history' then coalesce(q.coins_of_history, 0)
        when 'coins' then (select coalesce(sum(s.coins), 0) from fleet.quarantine as s where s.account = 'coins')
        when 'earnings' then (select coalesce(sum(s.coins), 0) from fleet.quarantine as s where s.account = 'earnings')
        else 0
    end as coins_quarantined,
    t.rows_before as rows_counted
from (
    select o.line, o.rows_before, o.rows_moved, o.coins_before, o.coins_after, o.account, o.ordinality as place
    from upgrade.proof() with ordinality as o
    union all
    select t.table_name, t.rows_before, 0, null, null, null, 1000
    from fleet.upgrade_tables as t
    where not t.is_handled
) as p
left join fleet.upgrade_tables as t on t.table_name = p.line
left join (
    select q.source_table, count(*) as rows, sum(q.coins) filter (where q.account = 'history') as coins_of_history
    from fleet.quarantine as q
    group by q.source_table
) as q on q.source_table = p.line
left join (
    select a.source_table, count(*) as rows, sum(a.coins) as coins
    from fleet.archived_rows as a
    group by a.source_table
) as a on a.source_table = p.line
order by p.place, p.line
