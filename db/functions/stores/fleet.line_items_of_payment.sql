create or replace function fleet.line_items_of_payment(p_payment_id bigint)
returns jsonb
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select jsonb_agg(jsonb_build_object('product_id', l.product_id, 'quantity', l.quantity) order by l.product_id)
    from fleet.store_line_items as l
    where l.payment_id = p_payment_id
$$;

revoke all on function fleet.line_items_of_payment(bigint) from public, anon, authenticated, service_role;
comment on function fleet.line_items_of_payment(bigint) is
    'The line items that a store told of a payment; null if it told none.';
