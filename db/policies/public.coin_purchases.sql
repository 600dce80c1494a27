-- The buyer reads; only functions write.
alter table public.coin_purchases enable row level security;
revoke all on public.coin_purchases from public, anon, authenticated, service_role;
grant select on public.coin_purchases to authenticated, service_role;

drop policy if exists own_rows_are_read on public.coin_purchases;
create policy own_rows_are_read on public.coin_purchases
for select to authenticated using ((select auth.uid()) = profile_id);
