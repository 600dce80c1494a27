-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.note_late_sandbox_grants(p_purchase_ids bigint[], p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    insert into fleet.sandbox_grants (payment_id, profile_id, granted_at, coins)
    select cp.payment_id, cp.profile_id, p_now, cp.coin_amount
    from public.coin_purchases as cp
    where cp.id = any(p_purchase_ids) and cp.granted_at is not null
        and exists (
            select 1 from fleet.store_payments as s where s.payment_id = cp.payment_id and s.is_sandbox
        )
    on conflict do nothing
$$;

revoke all on function fleet.note_late_sandbox_grants(bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.note_late_sandbox_grants(bigint[], timestamptz) is
    'Notes which of these purchases cost nothing and were granted after they had been held; see '
    'fleet.limit_sandbox_grants.';
