-- Everyone reads; only functions write.
alter table public.gifts enable row level security;
revoke all on public.gifts from public, anon, authenticated, service_role;
grant select on public.gifts to anon, authenticated, service_role;

drop policy if exists everyone_reads on public.gifts;
create policy everyone_reads on public.gifts
for select to anon, authenticated using (true);
