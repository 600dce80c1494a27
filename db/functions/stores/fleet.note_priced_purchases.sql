-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.note_priced_purchases(p_payment_ids bigint[], p_only_missing boolean)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    update fleet.store_line_items as l
    set unit_coins = fleet.coins_of_product(s.provider, l.product_id)
    from fleet.store_payments as s
    where s.payment_id = any(p_payment_ids) and l.payment_id = s.payment_id
        and (
            not p_only_missing
            or exists (
                select 1 from fleet.store_line_items as o where o.payment_id = s.payment_id and o.unit_coins is null
            )
        )
        and l.unit_coins is distinct from fleet.coins_of_product(s.provider, l.product_id)
$$;

revoke all on function fleet.note_priced_purchases(bigint[], boolean) from public, anon, authenticated, service_role;
comment on function fleet.note_priced_purchases(bigint[], boolean) is
    'Keeps what one of each product of these payments was worth in coins when the purchase was priced, by which '
    'reversals of some of them divide. p_only_missing: only payments of which a product had no coins before.';
