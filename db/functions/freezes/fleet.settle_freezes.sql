-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.settle_freezes(p_payment_ids bigint[], p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_payment_ids bigint[];
begin
    -- Few payments were ever frozen: for all others this is one look-up.
    v_payment_ids := array(
        select distinct f.payment_id from fleet.freezes as f where f.payment_id = any(p_payment_ids)
    );
    if cardinality(v_payment_ids) = 0 then
        return;
    end if;
    -- From all facts anew, so that any order and any repetition end the same. What a person released stays released.
    update fleet.freezes as f
    set
        released_at = case when c.cause is not null then coalesce(f.released_at, p_now) end,
        released_by = case when c.cause is not null then coalesce(f.released_by, c.cause) end
    from fleet.causes_of_release(v_payment_ids, p_now) as c
    where f.provider = c.provider and f.source = c.source and f.source_id = c.source_id
        and not f.is_released_by_person
        and (f.released_at is null) <> (c.cause is null);

    -- Purchases that turned out to be of one payment are frozen together.
    with known as (
        select of.purchase_id, cp.profile_id, coalesce(bool_or(f.payment_id is not null), false) as is_frozen
        from fleet.purchases_of_payments(v_payment_ids) as of
        -- Look-ups: the plan of a join that was made for few rows would read all of them each time.
        cross join lateral (
            select p.profile_id, p.payment_id from public.coin_purchases as p where p.id = of.purchase_id limit 1
        ) as cp
        left join lateral (
            select n.payment_id from fleet.joined_purchases as n where n.purchase_id = of.purchase_id limit 1
        ) as j on true
        left join fleet.freezes as f
            on f.payment_id = coalesce(j.payment_id, cp.payment_id) and f.released_at is null
        group by of.purchase_id, cp.profile_id
    ),
    unfrozen as (
        delete from fleet.frozen_purchases as z
        using known as k
        where z.purchase_id = k.purchase_id and not k.is_frozen
    )
    insert into fleet.frozen_purchases as z (purchase_id, profile_id)
    select k.purchase_id, k.profile_id
    from known as k
    where k.is_frozen
    on conflict (purchase_id) do update
    set profile_id = excluded.profile_id
    where z.profile_id <> excluded.profile_id;
end
$$;

revoke all on function fleet.settle_freezes(bigint[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.settle_freezes(bigint[], timestamptz) is
    'Releases the freezes of these payments whose cause is over, freezes again what a failed refund had released, and '
    'keeps the purchases that are frozen. The caller holds the payments'' and the profiles'' locks, and has settled '
    'their refunds and disputes.';
