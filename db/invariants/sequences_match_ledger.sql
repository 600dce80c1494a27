-- The sequence numbers on profiles are those of each account's newest entry.
select pr.id as profile_id, pr.coin_seq, pr.earnings_seq
from public.profiles as pr
left join (
    select
        e.profile_id,
        count(*) filter (where e.account = 'coins') as coins,
        count(*) filter (where e.account = 'earnings') as earnings
    from public.ledger_entries as e
    where e.profile_id is not null
    group by e.profile_id
) as l on l.profile_id = pr.id
where (pr.coin_seq, pr.earnings_seq) is distinct from (coalesce(l.coins, 0), coalesce(l.earnings, 0))
