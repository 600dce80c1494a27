create or replace function fleet.configure_consent(p_apple_customers_consented boolean)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    update fleet.settings
    set apple_customers_consented = p_apple_customers_consented
    where apple_customers_consented <> p_apple_customers_consented;
    -- What was to be told while customers agreed must not be told later.
    delete from fleet.provider_calls as c
    where c.kind = 'apple.answer_consumption' and c.state in ('pending', 'dead') and not p_apple_customers_consented
$$;

revoke all on function fleet.configure_consent(boolean) from public, anon, authenticated, service_role;
comment on function fleet.configure_consent(boolean) is
    'Whether customers agreed that Apple is told of their purchases; each release calls it. Without it, answers that '
    'were not sent yet are removed.';
