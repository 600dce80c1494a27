create or replace function fleet.price_line_items(p_provider text, p_line_items jsonb)
returns table (products text, quantity integer, coins numeric, list_usd numeric)
language sql
stable
rows 1
security invoker
set search_path = '', pg_temp
as $$
    select
        string_agg(l.product_id, '+' order by l.product_id collate "C"),
        sum(l.quantity)::integer,
        -- One unknown product, or one without a price in US dollars, leaves the whole without.
        case when bool_and(k.coins is not null) then sum(k.coins::numeric * l.quantity) end,
        case
            when bool_and(k.usd_minor is not null)
                then least(round(sum(k.usd_minor::numeric * l.quantity) / 100, 2), 9999999999.99)
        end
    from jsonb_to_recordset(p_line_items) as l (product_id text, quantity integer)
    cross join lateral (
        select
            fleet.coins_of_product(p_provider, l.product_id) as coins,
            (
                select min(c.amount_minor)
                from public.coin_packages as c
                where c.provider = p_provider and coalesce(c.product_id, c.sku) = l.product_id and c.currency = 'usd'
            ) as usd_minor
    ) as k
$$;

revoke all on function fleet.price_line_items(text, jsonb) from public, anon, authenticated, service_role;
comment on function fleet.price_line_items(text, jsonb) is
    'What the price list says of a store''s line items ({"product_id", "quantity"} each) together: coins, and the '
    'price in US dollars. Each is null if one product has none.';
