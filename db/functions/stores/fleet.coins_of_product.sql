create or replace function fleet.coins_of_product(p_provider text, p_product_id text)
returns bigint
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select case when min(k.coin_amount) = max(k.coin_amount) then min(k.coin_amount) end
    from public.coin_packages as k
    where k.provider = p_provider and coalesce(k.product_id, k.sku) = p_product_id
$$;

revoke all on function fleet.coins_of_product(text, text) from public, anon, authenticated, service_role;
comment on function fleet.coins_of_product(text, text) is
    'The coins of one of a store''s product, whatever its price and currency; null if the price list has no row of '
    'it, or rows that disagree.';
