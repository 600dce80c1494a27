-- Everyone reads; the owner writes the display fields. Only functions write balances and totals.
alter table public.profiles enable row level security;
revoke all on public.profiles from public, anon, authenticated, service_role;
grant select on public.profiles to anon, authenticated, service_role;
grant update (username, display_name, avatar_url, bio) on public.profiles to authenticated, service_role;

drop policy if exists everyone_reads on public.profiles;
create policy everyone_reads on public.profiles
for select to anon, authenticated using (true);

drop policy if exists own_rows_are_updated on public.profiles;
create policy own_rows_are_updated on public.profiles
for update to authenticated using ((select auth.uid()) = id) with check ((select auth.uid()) = id);
