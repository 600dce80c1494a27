create or replace function fleet.lock_purchase(p_purchase_id bigint)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_fact fleet.fact;
    v_facts fleet.fact[];
begin
    select k.provider, array[k.key] into v_fact.provider, v_fact.payment_keys
    from public.coin_purchases as cp
    left join fleet.joined_purchases as j on j.purchase_id = cp.id
    -- A look-up, in every plan: one that was made while there were few keys is kept, and must not read all of them.
    cross join lateral (
        select n.provider, n.key
        from fleet.payment_keys as n
        where n.payment_id = coalesce(j.payment_id, cp.payment_id)
        limit 1
    ) as k
    where cp.id = p_purchase_id;
    if not found then
        raise exception 'no purchase has the id %', p_purchase_id using errcode = 'invalid_parameter_value';
    end if;
    v_facts := fleet.lock_payments(array[v_fact]);
    perform fleet.lock_profiles(v_facts);
    perform 1 from public.coin_purchases as cp where cp.id = p_purchase_id for no key update;
    return v_facts[1].payment_id;
end
$$;

revoke all on function fleet.lock_purchase(bigint) from public, anon, authenticated, service_role;
comment on function fleet.lock_purchase(bigint) is
    'Locks the payment, the buyers and the row of a purchase, in the lock order, and returns the payment that its '
    'refunds and disputes are told of.';
