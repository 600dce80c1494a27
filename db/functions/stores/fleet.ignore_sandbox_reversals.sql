-- Events are found by their index at any size of table, whatever its statistics say.
create or replace function fleet.ignore_sandbox_reversals(p_payment_ids bigint[], p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    update fleet.inbox_events as e
    set state = 'ignored', reason = 'sandbox', processed_at = p_now
    where e.payment_id = any(p_payment_ids) and e.state = 'waiting' and e.reason = 'no_purchase_yet'
$$;

revoke all on function fleet.ignore_sandbox_reversals(bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.ignore_sandbox_reversals(bigint[], timestamptz) is
    'Ignores the reversals that wait for purchases of these payments, which cost nothing and grant nothing. The caller '
    'holds the payments'' locks.';
