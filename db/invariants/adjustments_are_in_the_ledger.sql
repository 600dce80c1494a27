-- A correction that an operator made is in the ledger, for the same profile and amount.
select a.idempotency_key, a.profile_id, a.amount
from fleet.adjustments as a
where not exists (
    select 1
    from public.ledger_entries as e
    where e.idempotency_key = a.idempotency_key and e.leg = 0 and e.account = 'coins'
        and e.profile_id = a.profile_id and e.amount = a.amount
)
