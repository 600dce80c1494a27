create or replace function fleet.lock_payments(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_ids bigint[];
    v_providers text[];
    v_keys text[];
    v_locked bigint;
    v_last_ids bigint[];
    v_named bigint := (select sum(cardinality(f.payment_keys)) from unnest(p_facts) as f);
    v_fresh bigint;
begin
    if coalesce(v_named, 0) = 0 then
        return p_facts;
    end if;
    -- Facts that share their first key are of one payment: the known one, if one of their keys is known, so that a new
    -- name joins it here and nothing has to be merged; else a new one. If the known payment is merged into another
    -- before its keys are locked, the fact names both, and they are merged below. A fact with one key has no other
    -- name to be found by.
    v_ids := array(
        select coalesce(
            min(n.known_id) over (partition by n.provider, n.first_key),
            min(n.id) over (partition by n.provider, n.first_key)
        )
        from (
            -- A new id for each fact that has keys.
            select
                f.ordinality, f.provider, f.payment_keys[1] as first_key, known.id as known_id,
                case when cardinality(f.payment_keys) > 0 then nextval('fleet.payment_id') end as id
            from unnest(p_facts) with ordinality as f
            left join lateral (
                -- The payment that one of the fact's keys names already.
                select min(found.payment_id) as id
                from unnest(f.payment_keys) as named (key)
                cross join lateral (
                    -- A key is one row.
                    select k.payment_id
                    from fleet.payment_keys as k
                    where k.provider = f.provider and k.key = named.key
                    limit 1
                ) as found
                where cardinality(f.payment_keys) > 1
            ) as known on true
        ) as n
        order by n.ordinality
    );
    with named as (
        select f.provider, keys.key, min(v_ids[f.ordinality]) as payment_id
        from unnest(p_facts) with ordinality as f
        cross join unnest(f.payment_keys) as keys (key)
        group by f.provider, keys.key
    ),
    fresh as (
        insert into fleet.payment_keys as k (provider, key, payment_id)
        select n.provider, n.key, n.payment_id
        from named as n
        order by n.provider, n.key
        on conflict do nothing
        returning k.provider, k.key
    )
    select array_agg(known.provider), array_agg(known.key), (select count(*) from fresh)
    into v_providers, v_keys, v_fresh
    from (
        select n.provider, n.key from named as n
        except
        select f.provider, f.key from fresh as f
    ) as known;

    -- A key that this transaction inserted is locked by the insert, and so is its payment, which has no other name.
    -- The other keys need statements of their own: the snapshot of each sees what others committed while the one
    -- before waited. All keys of these payments are locked, also those that no fact names, until no name has joined
    -- meanwhile: then nobody else decides about them under another name.
    while v_keys is not null loop
        begin
            perform 1
            from fleet.names_of_payments(v_providers, v_keys) as n
            cross join lateral (
                select 1 from fleet.payment_keys as k where k.provider = n.provider and k.key = n.key for update
            ) as locked;
            get diagnostics v_locked = row_count;
            -- How many names fleet.names_of_payments would return now; nothing has to be sorted for that.
            exit when v_locked = (
                select count(*)
                from (
                    -- The payments that are locked.
                    select distinct known.payment_id
                    from unnest(v_providers, v_keys) as named (provider, key)
                    cross join lateral (
                        -- A key is one row.
                        select k.payment_id
                        from fleet.payment_keys as k
                        where k.provider = named.provider and k.key = named.key
                        limit 1
                    ) as known
                ) as one
                cross join lateral (
                    select 1 from fleet.payment_keys as k where k.payment_id = one.payment_id offset 0
                ) as alias
            );
            raise exception 'a name has joined one of the payments' using errcode = 'NJ001';
        exception
            -- In the lock order the new name may come before some that are locked. The exception has released them
            -- all, to be locked again in order.
            when sqlstate 'NJ001' then null;
        end;
    end loop;

    -- If every key is new, and none is named twice, then each fact has the payment that was made for it.
    if v_fresh < v_named then
        -- The payment of each fact, now that no name joins any more; of several, the first and the last.
        select array_agg(known.first_id order by f.ordinality), array_agg(known.last_id order by f.ordinality)
        into v_ids, v_last_ids
        from unnest(p_facts) with ordinality as f
        cross join lateral (
            select min(found.payment_id) as first_id, max(found.payment_id) as last_id
            from unnest(f.payment_keys) as named (key)
            cross join lateral (
                -- A key is one row.
                select k.payment_id
                from fleet.payment_keys as k
                where k.provider = f.provider and k.key = named.key
                limit 1
            ) as found
        ) as known;
        if v_ids is distinct from v_last_ids then
            for v_i in 1 .. cardinality(p_facts) loop
                continue when v_ids[v_i] is not distinct from v_last_ids[v_i];
                perform fleet.merge_payments(p_facts[v_i].provider, p_facts[v_i].payment_keys);
                p_facts[v_i].joins_grants := fleet.note_joining_event(
                    p_facts[v_i].provider, p_facts[v_i].payment_keys[1], p_facts[v_i].provider_event_id
                );
            end loop;
            v_ids := array(
                select known.payment_id
                from unnest(p_facts) with ordinality as f
                left join lateral (
                    -- The one that all keys of the fact name now.
                    select k.payment_id
                    from fleet.payment_keys as k
                    where k.provider = f.provider and k.key = f.payment_keys[1]
                    limit 1
                ) as known on true
                order by f.ordinality
            );
        end if;
    end if;
    for v_i in 1 .. cardinality(p_facts) loop
        p_facts[v_i].payment_id := v_ids[v_i];
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.lock_payments(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.lock_payments(fleet.fact[]) is
    'Locks every key of every payment that the facts name, in order, and returns the facts with their payment_id. The '
    'first lock of the lock order.';
