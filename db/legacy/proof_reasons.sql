-- Why rows were set aside, or moved with a note.
select q.source_table as "table", 'quarantined' as fate, q.reason, count(*) as rows, coalesce(sum(q.coins), 0) as coins
from fleet.quarantine as q group by q.source_table, q.reason
union all
select a.source_table, 'archived', a.reason, count(*), coalesce(sum(a.coins), 0)
from fleet.archived_rows as a group by a.source_table, a.reason
union all
select n.source_table, 'noted', n.note, count(*), 0
from fleet.upgrade_notes as n group by n.source_table, n.note
order by 1, 2, 3
