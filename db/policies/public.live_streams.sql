-- Everyone reads; a stream's owner switches live_available, the platform's backend makes streams. No role sets
-- is_published or a counter.
alter table public.live_streams enable row level security;
revoke all on public.live_streams from public, anon, authenticated, service_role;
grant select on public.live_streams to anon, authenticated, service_role;
grant update (live_available) on public.live_streams to authenticated;
grant insert (profile_id, title, live_available), update (title, live_available) on public.live_streams to service_role;

drop policy if exists everyone_reads on public.live_streams;
create policy everyone_reads on public.live_streams
for select to anon, authenticated using (true);

drop policy if exists own_rows_are_updated on public.live_streams;
create policy own_rows_are_updated on public.live_streams
for update to authenticated using ((select auth.uid()) = profile_id) with check ((select auth.uid()) = profile_id);
