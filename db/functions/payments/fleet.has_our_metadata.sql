create or replace function fleet.has_our_metadata(p_half jsonb)
returns boolean
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select coalesce(
        p_half ->> 'profile_id' is not null or (p_half ->> 'buyer_unreadable')::boolean or p_half ->> 'sku' is not null,
        false
    )
$$;

revoke all on function fleet.has_our_metadata(jsonb) from public, anon, authenticated, service_role;
comment on function fleet.has_our_metadata(jsonb) is
    'Whether a half of a payment names a buyer, readable or not, or a product: then the payment is ours.';
