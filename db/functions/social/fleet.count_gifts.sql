create or replace function fleet.count_gifts(p_from xid8, p_upto xid8, p_today date)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.add_gifts_to_boards(p_from, p_upto, p_today, null, null)
$$;

revoke all on function fleet.count_gifts(xid8, xid8, date) from public, anon, authenticated, service_role;
comment on function fleet.count_gifts(xid8, xid8, date) is
    'The last release''s fleet.refresh_leaderboard calls this until the new one replaces it; to be dropped in the next '
    'release.';
