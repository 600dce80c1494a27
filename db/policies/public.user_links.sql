-- Everyone reads; their owner writes them.
alter table public.user_links enable row level security;
revoke all on public.user_links from public, anon, authenticated, service_role;
grant select on public.user_links to anon, authenticated, service_role;
grant insert, update, delete on public.user_links to authenticated, service_role;

drop policy if exists everyone_reads on public.user_links;
create policy everyone_reads on public.user_links
for select to anon, authenticated using (true);

drop policy if exists own_rows_are_inserted on public.user_links;
create policy own_rows_are_inserted on public.user_links
for insert to authenticated with check ((select auth.uid()) = profile_id);

drop policy if exists own_rows_are_updated on public.user_links;
create policy own_rows_are_updated on public.user_links
for update to authenticated using ((select auth.uid()) = profile_id) with check ((select auth.uid()) = profile_id);

drop policy if exists own_rows_are_deleted on public.user_links;
create policy own_rows_are_deleted on public.user_links
for delete to authenticated using ((select auth.uid()) = profile_id);
