-- Purchases of which something went back: few rows of a table that grows, and what people look for.
create index if not exists coin_purchases_reversed_idx on public.coin_purchases (id)
where refunded_coins > 0 or status in ('refunded', 'chargeback');
