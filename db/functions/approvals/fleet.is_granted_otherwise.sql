create or replace function fleet.is_granted_otherwise(p_purchase_id bigint)
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
        where j.purchase_id = p_purchase_id and cp.granted_at is not null and not o.is_taken_back
    )
$$;

revoke all on function fleet.is_granted_otherwise(bigint) from public, anon, authenticated, service_role;
comment on function fleet.is_granted_otherwise(bigint) is
    'Whether the payment of this purchase is granted by another purchase of it, whose coins a person left.';
