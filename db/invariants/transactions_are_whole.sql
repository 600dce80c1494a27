-- The entries of a ledger transaction have the same key and reason, are numbered from 0, and were written together.
select e.transaction_id
from public.ledger_entries as e
group by e.transaction_id
having min(e.leg) <> 0
    or count(distinct e.leg) <> count(*)
    or count(distinct e.idempotency_key) <> 1
    or count(distinct e.reason) <> 1
    or count(distinct e.xact_id) <> 1
