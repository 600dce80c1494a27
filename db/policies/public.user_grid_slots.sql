-- A viewer's own layout; nobody else reads or writes it.
alter table public.user_grid_slots enable row level security;
revoke all on public.user_grid_slots from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.user_grid_slots to authenticated, service_role;

drop policy if exists own_rows_are_read on public.user_grid_slots;
create policy own_rows_are_read on public.user_grid_slots
for select to authenticated using ((select auth.uid()) = viewer_id);

drop policy if exists own_rows_are_inserted on public.user_grid_slots;
create policy own_rows_are_inserted on public.user_grid_slots
for insert to authenticated with check ((select auth.uid()) = viewer_id);

drop policy if exists own_rows_are_updated on public.user_grid_slots;
create policy own_rows_are_updated on public.user_grid_slots
for update to authenticated using ((select auth.uid()) = viewer_id) with check ((select auth.uid()) = viewer_id);

drop policy if exists own_rows_are_deleted on public.user_grid_slots;
create policy own_rows_are_deleted on public.user_grid_slots
for delete to authenticated using ((select auth.uid()) = viewer_id);
