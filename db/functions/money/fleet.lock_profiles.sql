create or replace function fleet.lock_profiles(p_facts fleet.fact[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_profile_ids uuid[];
    v_payment_ids bigint[];
    v_store_payment_ids bigint[];
begin
    v_profile_ids := array(
        select u.profile_id
        from unnest(p_facts) as f
        cross join unnest(
            array[f.profile_id, f.sender_id, f.recipient_id, f.submitted_by, (f.half ->> 'profile_id')::uuid]
        ) as u (profile_id)
        where u.profile_id is not null
    );
    -- Others of the same payments told of buyers, too. A gift has no payment.
    select
        array_agg(distinct f.payment_id),
        array_agg(distinct f.payment_id) filter (where f.provider in ('apple', 'google'))
    into v_payment_ids, v_store_payment_ids
    from unnest(p_facts) as f
    where f.payment_id is not null;
    if v_payment_ids is not null then
        v_profile_ids := v_profile_ids || array(
            select other.profile_id
            from unnest(v_payment_ids) as u (payment_id)
            -- Subqueries per payment: the plan of a join that was made for few purchases would read all of them at
            -- each batch.
            cross join lateral (
                (select cp.profile_id from public.coin_purchases as cp where cp.payment_id = u.payment_id limit 1)
                union all
                -- A buyer whom another event of the payment named.
                (select h.profile_id from fleet.payment_halves as h where h.payment_id = u.payment_id offset 0)
                union all
                (
                    select cp.profile_id
                    from fleet.joined_purchases as j
                    join public.coin_purchases as cp on cp.id = j.purchase_id
                    where j.payment_id = u.payment_id
                    offset 0
                )
            ) as other
            where other.profile_id is not null
        );
    end if;
    if v_store_payment_ids is not null then
        -- Whom another event of a store's payment named, or who submitted it.
        v_profile_ids := v_profile_ids || array(
            select bought.buyer_id
            from unnest(v_store_payment_ids) as u (payment_id)
            cross join lateral (
                select s.buyer_id from fleet.store_payments as s where s.payment_id = u.payment_id limit 1
            ) as bought
            where bought.buyer_id is not null
        );
    end if;

    -- Not `for update`: that would block every insert that references one of these profiles.
    perform 1
    from public.profiles as pr
    where pr.id = any(v_profile_ids)
    order by pr.id
    for no key update;
end
$$;

revoke all on function fleet.lock_profiles(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.lock_profiles(fleet.fact[]) is
    'Locks every profile that the facts may write, in the order of ids. The second lock of the lock order, after '
    'fleet.lock_payments.';
