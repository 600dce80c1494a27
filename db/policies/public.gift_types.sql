-- Everyone reads; the schema's owner changes prices.
alter table public.gift_types enable row level security;
revoke all on public.gift_types from public, anon, authenticated, service_role;
grant select on public.gift_types to anon, authenticated, service_role;

drop policy if exists everyone_reads on public.gift_types;
create policy everyone_reads on public.gift_types
for select to anon, authenticated using (true);
