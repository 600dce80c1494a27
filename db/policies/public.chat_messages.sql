-- Everyone reads; a signed-in user writes under their own id. The backend removes messages.
alter table public.chat_messages enable row level security;
revoke all on public.chat_messages from public, anon, authenticated, service_role;
grant select on public.chat_messages to anon, authenticated, service_role;
grant insert (stream_id, profile_id, body) on public.chat_messages to authenticated, service_role;
grant delete on public.chat_messages to service_role;

drop policy if exists everyone_reads on public.chat_messages;
create policy everyone_reads on public.chat_messages
for select to anon, authenticated using (true);

drop policy if exists own_rows_are_inserted on public.chat_messages;
create policy own_rows_are_inserted on public.chat_messages
for insert to authenticated with check ((select auth.uid()) = profile_id);
