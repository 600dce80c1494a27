create or replace function fleet.ignore_foreign_reversals(p_payment_ids bigint[], p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    update fleet.inbox_events as e
    set state = 'ignored', reason = 'not_ours', processed_at = p_now
    where e.state = 'waiting' and e.reason = 'no_purchase_yet'
        and e.payment_id = any(
            array(select p.id from fleet.payments as p where p.is_foreign and p.id = any(p_payment_ids))
        )
$$;

revoke all on function fleet.ignore_foreign_reversals(bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.ignore_foreign_reversals(bigint[], timestamptz) is
    'Ignores the reversals that wait for a purchase if their payment is not ours: an event may have joined the name '
    'that they wait under to such a payment.';
