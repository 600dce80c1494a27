-- Definer: the console may know of these payments, and not read an invariant.
create or replace function fleet.double_grants()
returns table (payment_id bigint, purchase_ids bigint[], coins numeric)
language plpgsql
stable
security definer
set search_path = '', pg_temp
as $$
begin
    return query
    select i.payment_id, i.purchase_ids, i.coins::numeric
    from invariants.payments_are_granted_once as i
    order by i.purchase_ids
    limit 20;
end
$$;

revoke all on function fleet.double_grants() from public, anon, authenticated, service_role;
comment on function fleet.double_grants() is
    'Up to 20 payments that were granted more than once and that nobody has closed, the oldest first.';
