create or replace function fleet.check_coins_of_products()
returns trigger
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_provider text;
    v_product text;
begin
    select k.provider, coalesce(k.product_id, k.sku) into v_provider, v_product
    from public.coin_packages as k
    where k.provider in ('apple', 'google')
        and exists (
            select 1
            from changed_packages as c
            where c.provider = k.provider and coalesce(c.product_id, c.sku) = coalesce(k.product_id, k.sku)
        )
    group by k.provider, coalesce(k.product_id, k.sku)
    having min(k.coin_amount) <> max(k.coin_amount)
    limit 1;
    if found then
        raise exception 'all rows of one product have the same coins: product % of % has several', v_product, v_provider
            using errcode = 'check_violation', constraint = 'one_number_of_coins_a_product',
            hint = 'The product alone says the coins of a store''s purchase, whatever its currency. '
                'Change all rows of the product in one statement.';
    end if;
    return null;
end
$$;

revoke all on function fleet.check_coins_of_products() from public, anon, authenticated, service_role;
comment on function fleet.check_coins_of_products() is
    'Refuses a price list in which one product of Apple or Google has two numbers of coins.';

create or replace trigger products_have_one_number_of_coins
after insert on public.coin_packages
referencing new table as changed_packages
for each statement execute function fleet.check_coins_of_products();

create or replace trigger products_keep_one_number_of_coins
after update on public.coin_packages
referencing new table as changed_packages
for each statement execute function fleet.check_coins_of_products();
