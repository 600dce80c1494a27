-- What waits for a person, or for the refund that a person asked for. Few rows of a table that grows.
create index if not exists coin_purchases_undecided_idx on public.coin_purchases (id)
where granted_at is null and status = 'pending' and (decision is null or refund_requested);
