create table upgrade.leftovers as
select row_number() over (order by l.source_table, l.source_key) as no, l.*
from (
    select r.* from upgrade.raw_leftovers as r
    union all
    select h.source_table, h.source_key, 'archive', 'no_home', null, null, h.source_row from upgrade.homeless as h
) as l;
