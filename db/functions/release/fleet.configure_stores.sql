create or replace function fleet.configure_stores(
    p_store_sandbox text, p_sandbox_profiles uuid[], p_sandbox_coins_per_day bigint
)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    update fleet.settings
    set
        store_sandbox = p_store_sandbox,
        sandbox_profiles = p_sandbox_profiles,
        sandbox_coins_per_day = p_sandbox_coins_per_day
    where (store_sandbox, sandbox_profiles, sandbox_coins_per_day)
        is distinct from (p_store_sandbox, p_sandbox_profiles, p_sandbox_coins_per_day)
$$;

revoke all on function fleet.configure_stores(text, uuid[], bigint) from public, anon, authenticated, service_role;
comment on function fleet.configure_stores(text, uuid[], bigint) is
    'Writes the rules of store purchases that cost nothing; each release calls it with the environment''s values.';
