-- Everyone reads; a follower adds and removes their own rows.
alter table public.follows enable row level security;
revoke all on public.follows from public, anon, authenticated, service_role;
grant select on public.follows to anon, authenticated, service_role;
grant insert (follower_id, followee_id), delete on public.follows to authenticated, service_role;

drop policy if exists everyone_reads on public.follows;
create policy everyone_reads on public.follows
for select to anon, authenticated using (true);

drop policy if exists own_rows_are_inserted on public.follows;
create policy own_rows_are_inserted on public.follows
for insert to authenticated with check ((select auth.uid()) = follower_id);

drop policy if exists own_rows_are_deleted on public.follows;
create policy own_rows_are_deleted on public.follows
for delete to authenticated using ((select auth.uid()) = follower_id);
