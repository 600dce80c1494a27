-- Double entry: what one account gains, other accounts lose.
select e.transaction_id, sum(e.amount) as off_by
from public.ledger_entries as e
group by e.transaction_id
having sum(e.amount) <> 0
