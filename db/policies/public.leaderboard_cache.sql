-- Everyone reads; only the refresh writes.
alter table public.leaderboard_cache enable row level security;
revoke all on public.leaderboard_cache from public, anon, authenticated, service_role;
grant select on public.leaderboard_cache to anon, authenticated, service_role;

drop policy if exists everyone_reads on public.leaderboard_cache;
create policy everyone_reads on public.leaderboard_cache
for select to anon, authenticated using (true);
