-- A product of Apple or Google has the same coins in all rows of the price list; one with several buys nothing.
select k.provider, coalesce(k.product_id, k.sku) as product_id, min(k.coin_amount), max(k.coin_amount)
from public.coin_packages as k
where k.provider in ('apple', 'google')
group by 1, 2
having min(k.coin_amount) <> max(k.coin_amount)
