-- A viewer's own rows. A viewer writes the flags; the database sets the time of the last heartbeat.
alter table public.active_viewers enable row level security;
revoke all on public.active_viewers from public, anon, authenticated, service_role;
grant select, delete on public.active_viewers to authenticated, service_role;
grant insert (stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed)
on public.active_viewers to authenticated, service_role;
grant update (is_active, is_unmuted, is_visible, is_subscribed) on public.active_viewers to authenticated, service_role;

drop policy if exists own_rows_are_read on public.active_viewers;
create policy own_rows_are_read on public.active_viewers
for select to authenticated using ((select auth.uid()) = viewer_id);

drop policy if exists own_rows_are_inserted on public.active_viewers;
create policy own_rows_are_inserted on public.active_viewers
for insert to authenticated with check ((select auth.uid()) = viewer_id);

drop policy if exists own_rows_are_updated on public.active_viewers;
create policy own_rows_are_updated on public.active_viewers
for update to authenticated using ((select auth.uid()) = viewer_id) with check ((select auth.uid()) = viewer_id);

drop policy if exists own_rows_are_deleted on public.active_viewers;
create policy own_rows_are_deleted on public.active_viewers
for delete to authenticated using ((select auth.uid()) = viewer_id);
