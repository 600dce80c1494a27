-- Everyone reads, because a shop shows its prices; the schema's owner changes them.
alter table public.coin_packages enable row level security;
revoke all on public.coin_packages from public, anon, authenticated, service_role;
grant select on public.coin_packages to anon, authenticated, service_role;

drop policy if exists everyone_reads on public.coin_packages;
create policy everyone_reads on public.coin_packages
for select to anon, authenticated using (true);
