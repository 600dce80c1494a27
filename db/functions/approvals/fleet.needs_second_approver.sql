create or replace function fleet.needs_second_approver(p_usd numeric)
returns boolean
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- What it is worth is not known: it may be worth any amount.
    select s.second_approver_above_usd is not null and coalesce(p_usd > s.second_approver_above_usd, true)
    from fleet.settings as s
$$;

revoke all on function fleet.needs_second_approver(numeric) from public, anon, authenticated, service_role;
comment on function fleet.needs_second_approver(numeric) is
    'Whether two people approve a purchase of so many US dollars; null is an unknown worth.';
