-- Everyone reads, because a shop may show prices in other currencies; the schema's owner sets the rates.
alter table public.fx_rates enable row level security;
revoke all on public.fx_rates from public, anon, authenticated, service_role;
grant select on public.fx_rates to anon, authenticated, service_role;

drop policy if exists everyone_reads on public.fx_rates;
create policy everyone_reads on public.fx_rates
for select to anon, authenticated using (true);
