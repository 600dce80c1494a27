-- The owner of the account reads; only functions write.
alter table public.ledger_entries enable row level security;
revoke all on public.ledger_entries from public, anon, authenticated, service_role;
grant select on public.ledger_entries to authenticated, service_role;

drop policy if exists own_rows_are_read on public.ledger_entries;
create policy own_rows_are_read on public.ledger_entries
for select to authenticated using ((select auth.uid()) = profile_id);
