create or replace function fleet.lock_payments(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
    v_ids bigint[];
    v_one_payment record;
begin
    if not exists (select 1 from unnest(p_facts) as f where f.payment_keys is not null) then
        return p_facts;
    end if;
    -- Facts that share their first key share an id; it becomes the payment's if none of its keys was known.
    v_ids := array(
        select min(n.id) over (partition by n.provider, n.first_key)
        from (
            select
                f.ordinality, f.provider, f.payment_keys[1] as first_key,
                case when f.payment_keys is not null then nextval('fleet.payment_id') end as id
            from unnest(p_facts) with ordinality as f
        ) as n
        order by n.ordinality
    );
    insert into fleet.payment_keys as k (provider, key, payment_id)
    select f.provider, named.key, min(v_ids[f.ordinality])
    from unnest(p_facts) with ordinality as f
    cross join unnest(f.payment_keys) as named (key)
    group by f.provider, named.key
    order by f.provider, named.key
    on conflict do nothing;

    -- A statement of its own: its snapshot sees what others committed while the insert waited.
    perform locked.payment_id
    from (
        select distinct f.provider, named.key
        from unnest(p_facts) as f
        cross join unnest(f.payment_keys) as named (key)
        order by f.provider, named.key
    ) as n
    cross join lateral (
        select k.payment_id from fleet.payment_keys as k where k.provider = n.provider and k.key = n.key for update
    ) as locked;

    for v_one_payment in
        select array_agg(distinct known.payment_id) as payment_ids
        from unnest(p_facts) with ordinality as f
        cross join unnest(f.payment_keys) as named (key)
        cross join lateral (
            select k.payment_id from fleet.payment_keys as k where k.provider = f.provider and k.key = named.key limit 1
        ) as known
        group by f.ordinality
        having min(known.payment_id) <> max(known.payment_id)
    loop
        perform fleet.merge_payments(v_one_payment.payment_ids);
    end loop;

    v_ids := array(
        select known.payment_id
        from unnest(p_facts) with ordinality as f
        left join lateral (
            select k.payment_id
            from fleet.payment_keys as k
            where k.provider = f.provider and k.key = f.payment_keys[1]
            limit 1
        ) as known on true
        order by f.ordinality
    );
    for v_i in 1 .. cardinality(p_facts) loop
        p_facts[v_i].payment_id := v_ids[v_i];
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.lock_payments(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.lock_payments(fleet.fact[]) is 'Locks every payment key that the facts name, in order, and returns the facts with their payment_id. The first lock of the lock order.';
