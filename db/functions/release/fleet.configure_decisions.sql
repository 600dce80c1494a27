create or replace function fleet.configure_decisions(p_second_approver_above_usd numeric, p_hold_expires_days integer)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    update fleet.settings
    set second_approver_above_usd = p_second_approver_above_usd, hold_expires_days = p_hold_expires_days
    where (second_approver_above_usd, hold_expires_days)
        is distinct from (p_second_approver_above_usd, p_hold_expires_days)
$$;

revoke all on function fleet.configure_decisions(numeric, integer) from public, anon, authenticated, service_role;
comment on function fleet.configure_decisions(numeric, integer) is
    'Writes the rules of decisions; each release calls it with the environment''s values, null for what is unset.';
