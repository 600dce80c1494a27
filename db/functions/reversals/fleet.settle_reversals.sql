create or replace function fleet.settle_reversals(p_payment_ids bigint[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_settled record;
begin
    -- A target, not a delta: what all facts of the payment say by now, in whatever order and however often they were
    -- told.
    with targets as (
        select
            cp.id,
            cp.refunded_coins,
            r.disputed > 0 as disputed,
            case
                when w.is_whole then case when r.disputed > 0 then 'chargeback' else 'refunded' end
                when cp.granted_at is not null then 'confirmed'
                else 'pending'
            end as status,
            case
                when cp.granted_at is null then 0
                when w.is_whole then cp.coin_amount
                when coalesce(r.paid, 0) = 0 then 0
                else least(div(cp.coin_amount * s.amount, r.paid), cp.coin_amount - 1)
            end::bigint as coins
        from fleet.reversed_amounts(p_payment_ids) as r
        join public.coin_purchases as cp on cp.id = r.purchase_id
        -- Three thirds have to make a whole. The error of a division is in the 300th decimal; amounts of up to 2^53
        -- and ten disputes that differ at all differ in the first 200. Refunds alone are whole numbers, and exact.
        cross join lateral (
            select r.refunded + r.disputed + case when r.disputed > 0 then 1e-250 else 0 end as amount
        ) as s
        -- A payment of 0 can't be refunded.
        cross join lateral (
            select coalesce(r.paid > 0 and s.amount >= r.paid, false) or r.is_taken_back as is_whole
        ) as w
    ),
    written as (
        update public.coin_purchases as cp
        set refunded_coins = t.coins, status = t.status
        from targets as t
        where cp.id = t.id and (cp.refunded_coins, cp.status) is distinct from (t.coins, t.status)
        returning cp.id, cp.profile_id, t.coins - t.refunded_coins as taken, t.disputed
    )
    select
        array_agg(w.id order by w.id) as ids,
        array_agg(w.profile_id order by w.id) as profile_ids,
        array_agg(w.taken order by w.id) as taken,
        array_agg(
            case when w.taken < 0 then 'reinstatement' when w.disputed then 'chargeback' else 'refund' end order by w.id
        ) as reasons
    into v_settled
    from written as w
    where w.taken <> 0;

    perform fleet.post_ledger(
        array(
            select leg.posting
            from unnest(v_settled.ids, v_settled.profile_ids, v_settled.taken, v_settled.reasons)
                with ordinality as w (id, profile_id, taken, reason, no)
            cross join lateral (select 'reversal:' || w.id || ':' || nextval('fleet.reversal_no')) as k (key)
            cross join lateral (
                values
                (row(w.no, 0, w.profile_id, 'coins', -w.taken, w.reason, k.key, null)::fleet.posting),
                (row(w.no, 1, null, 'coins_issued', w.taken, w.reason, k.key, null)::fleet.posting)
            ) as leg (posting)
            order by w.no
        )
    );
end
$$;

revoke all on function fleet.settle_reversals(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.settle_reversals(bigint[]) is
    'Brings each payment''s purchase to what its refunds and disputes say: takes coins back or returns them, and '
    'derives the status. The caller holds the payments'' and the profiles'' locks.';
