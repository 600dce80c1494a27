create or replace function fleet.configure_app_events(p_is_told boolean)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    update fleet.settings as s
    set app_told_since = case when p_is_told then clock_timestamp() end
    where (s.app_told_since is not null) <> p_is_told
$$;

revoke all on function fleet.configure_app_events(boolean) from public, anon, authenticated, service_role;
comment on function fleet.configure_app_events(boolean) is
    'Whether the app is told what becomes of purchases and gifts, from now on; each release calls it. What happened '
    'while it was not told is never told later.';
