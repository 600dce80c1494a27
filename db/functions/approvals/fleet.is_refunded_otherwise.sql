create or replace function fleet.is_refunded_otherwise(p_purchase_id bigint)
returns boolean
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select exists (
        select 1
        from fleet.joined_purchases as j
        join fleet.joined_purchases as o on o.payment_id = j.payment_id and o.purchase_id <> j.purchase_id
        join public.coin_purchases as cp on cp.id = o.purchase_id
        where j.purchase_id = p_purchase_id and cp.refund_requested and cp.granted_at is null
    )
$$;

revoke all on function fleet.is_refunded_otherwise(bigint) from public, anon, authenticated, service_role;
comment on function fleet.is_refunded_otherwise(bigint) is
    'Whether another purchase of the payment of this one was rejected with a refund: the money is on its way back.';
