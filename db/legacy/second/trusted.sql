-- What is trusted of the second generation: the sums of its ledger, whatever profiles.coin_balance said.
create view upgrade.ledger_sums as
select
    m.profile_id,
    sum(m.amount) filter (where m.account = 'coins') as coins,
    sum(m.amount) filter (where m.account = 'earnings') as earnings
from upgrade.movements as m
where m.profile_id is not null and m.fate <> 'quarantine'
group by m.profile_id;

create view upgrade.trusted as
select
    u.old_id,
    u.profile_id,
    coalesce(s.coins, 0) as coins,
    -- Earnings are never negative here: what is below zero is quarantined.
    greatest(coalesce(s.earnings, 0), 0) as earnings
from fleet.upgraded_users as u
left join upgrade.ledger_sums as s on s.profile_id = u.profile_id;

create view upgrade.raw_leftovers as
select
    'earnings' as source_table,
    s.profile_id::text as source_key,
    'quarantine' as fate,
    'negative_earnings' as reason,
    'earnings' as account,
    s.earnings as coins,
    jsonb_build_object('profile_id', s.profile_id, 'earnings', s.earnings) as source_row
from upgrade.ledger_sums as s
where s.earnings < 0;

-- The cached balances are not kept; those that differed from the ledger are noted.
insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
select 'profiles', t.old_id, 'cached_balance_drifted', p.coin_balance::text
from upgrade.trusted as t
join legacy_second.profiles as p on p.id = t.profile_id
where p.coin_balance is distinct from t.coins;
