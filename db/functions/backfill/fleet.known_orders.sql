-- Definer: the worker may ask which orders there are, not read purchases.
create or replace function fleet.known_orders(
    p_after_at timestamptz, p_after_id bigint, p_limit integer, p_now timestamptz default null
)
returns table (bought_at timestamptz, purchase_id bigint, order_id text, store_app text)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select p.purchased_at, p.id, k.key, s.store_app
    from public.coin_purchases as p
    join fleet.payment_keys as k on k.payment_id = p.payment_id and k.provider = p.provider
    join fleet.store_payments as s on s.payment_id = p.payment_id
    -- Google alone has orders; its index has this condition.
    where p.provider = 'google'
        -- In a query of its own, because what changes while a statement runs is no bound for an index.
        and p.purchased_at > (select coalesce(p_now, clock_timestamp()) - interval '60 days')
        and (p.purchased_at, p.id) > (p_after_at, p_after_id)
        and fleet.payment_key_kind(k.key) = 'order'
    order by p.purchased_at, p.id
    limit p_limit
$$;

revoke all on function fleet.known_orders(timestamptz, bigint, integer, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.known_orders(timestamptz, bigint, integer, timestamptz) is
    'The orders of purchases of the last 60 days with the app that sold each, the oldest first, those after the '
    'purchase that is given: to ask the provider what became of each.';
