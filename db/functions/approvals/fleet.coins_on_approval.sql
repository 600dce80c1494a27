create or replace function fleet.coins_on_approval(p_purchase public.coin_purchases)
returns bigint
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select case
        when p_purchase.provider in ('apple', 'google') and p_purchase.hold_reason = 'unknown_product' then (
            -- `least` would ignore a null.
            select case when k.coins is not null then least(k.coins, 9223372036854775807)::bigint end
            from fleet.price_line_items(
                p_purchase.provider, fleet.line_items_of_payment(p_purchase.payment_id)
            ) as k
        )
        when p_purchase.hold_reason in ('unknown_product', 'wrong_amount') then (
            -- The package that exists now, at the payment's currency if it has that price.
            select least(k.coin_amount::numeric * p_purchase.quantity, 9223372036854775807)::bigint
            from public.coin_packages as k
            where k.provider = p_purchase.provider and k.sku = p_purchase.sku
            order by k.currency = p_purchase.currency desc, k.coin_amount
            limit 1
        )
        else nullif(p_purchase.coin_amount, 0)
    end
$$;

revoke all on function fleet.coins_on_approval(public.coin_purchases) from public, anon, authenticated, service_role;
comment on function fleet.coins_on_approval(public.coin_purchases) is
    'The coins that a held purchase is worth now, and the most that a person may grant for it; null if there is '
    'nothing to price it by.';
