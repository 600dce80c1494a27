create or replace function fleet.note_sandbox_grants(p_decisions fleet.purchase_decision[], p_now timestamptz)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.sandbox_grants (payment_id, profile_id, granted_at, coins)
    select d.payment_id, d.profile_id, p_now, d.coin_amount
    from unnest(p_decisions) as d
    cross join lateral (
        select s.is_sandbox from fleet.store_payments as s where s.payment_id = d.payment_id limit 1
    ) as told
    where d.granted and told.is_sandbox
    on conflict do nothing
$$;

revoke all on function fleet.note_sandbox_grants(fleet.purchase_decision[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.note_sandbox_grants(fleet.purchase_decision[], timestamptz) is
    'Notes what was granted although it cost nothing; see fleet.limit_sandbox_grants.';
