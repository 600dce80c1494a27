-- In a transaction of its own: whoever reads the table meanwhile waits for nothing.
alter table public.coin_purchases validate constraint hold_reason_known;
