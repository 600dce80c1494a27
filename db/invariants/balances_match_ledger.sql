-- The balances on profiles are the sums of the profiles' ledger accounts.
select
    pr.id as profile_id,
    pr.coin_balance,
    coalesce(l.coins, 0) as coins_in_ledger,
    pr.earnings_balance,
    coalesce(l.earnings, 0) as earnings_in_ledger
from public.profiles as pr
left join (
    select
        e.profile_id,
        sum(e.amount) filter (where e.account = 'coins') as coins,
        sum(e.amount) filter (where e.account = 'earnings') as earnings
    from public.ledger_entries as e
    where e.profile_id is not null
    group by e.profile_id
) as l on l.profile_id = pr.id
where (pr.coin_balance, pr.earnings_balance) is distinct from (coalesce(l.coins, 0), coalesce(l.earnings, 0))
