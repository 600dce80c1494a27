create or replace function fleet.lock_profiles(p_facts fleet.fact[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_profile_ids uuid[];
begin
    select array_agg(distinct u.profile_id) into v_profile_ids
    from unnest(p_facts) as f
    -- Subqueries per fact: the plan of a join that was made for few purchases would read all of them at each batch.
    cross join lateral (
        select unnest(array[f.profile_id, f.sender_id, f.recipient_id, f.submitted_by, (f.half ->> 'profile_id')::uuid])
        union all
        (select cp.profile_id from public.coin_purchases as cp where cp.payment_id = f.payment_id limit 1)
        union all
        -- A buyer whom another event of the payment named.
        (select h.profile_id from fleet.payment_halves as h where h.payment_id = f.payment_id offset 0)
        union all
        -- Whom another event of a store's payment named, or who submitted it.
        (
            select s.buyer_id
            from fleet.store_payments as s
            where s.payment_id = f.payment_id and f.provider in ('apple', 'google')
            limit 1
        )
        union all
        (
            select cp.profile_id
            from fleet.joined_purchases as j
            join public.coin_purchases as cp on cp.id = j.purchase_id
            where j.payment_id = f.payment_id
            offset 0
        )
    ) as u (profile_id)
    where u.profile_id is not null;

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
