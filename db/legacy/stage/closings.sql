create table upgrade.closings as
select
    o.no, o.source_table, o.source_key, o.fate, o.reason, o.account, o.coins, o.source_row,
    o.old_id, o.profile_id, o.trusted_coins, o.trusted_earnings
from upgrade.openings as o;
