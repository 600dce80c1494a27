-- Each account's entries are numbered 1, 2, 3 … and each has the balance after it.
select o.profile_id, o.account, o.seq, o.balance_after, o.running
from (
    select
        e.profile_id,
        e.account,
        e.seq,
        e.balance_after,
        row_number() over of_account as position,
        sum(e.amount) over of_account as running
    from public.ledger_entries as e
    where e.profile_id is not null
    window of_account as (partition by e.profile_id, e.account order by e.seq rows unbounded preceding)
) as o
where o.seq <> o.position or o.balance_after <> o.running
