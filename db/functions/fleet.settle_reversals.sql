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
    -- A target, not a delta: what the facts of the payment say by now, whatever their order and however often told.
    with refund_sums as (
        select
            r.payment_id,
            coalesce(sum(r.amount_minor) filter (where r.status not in ('failed', 'canceled')), 0) as standing,
            coalesce(sum(r.amount_minor) filter (where r.status in ('failed', 'canceled')), 0) as undone
        from fleet.refunds as r
        where r.payment_id = any(p_payment_ids)
        group by r.payment_id
    ),
    withdrawn as (
        -- In settlement currency, so only the ratio to the largest withdrawal counts.
        select
            d.payment_id,
            d.amount_minor::numeric(60, 40) as amount,
            greatest(-sum(t.amount), 0) as net,
            -min(t.amount) filter (where t.amount < 0) as largest
        from fleet.disputes as d
        join fleet.dispute_transactions as t on t.provider = d.provider and t.dispute_id = d.dispute_id
        where d.payment_id = any(p_payment_ids)
        group by d.provider, d.dispute_id
    ),
    dispute_sums as (
        select w.payment_id, sum(least(w.amount * w.net / w.largest, w.amount)) as outstanding
        from withdrawn as w
        where w.largest is not null
        group by w.payment_id
    ),
    reversed as (
        select
            cp.id,
            cp.refunded_coins,
            cp.granted_at,
            cp.coin_amount,
            coalesce(kept.amount_minor, cp.amount_minor) as paid,
            of.is_taken_back,
            coalesce(ds.outstanding, 0) as outstanding,
            greatest(
                coalesce(rs.standing, 0),
                coalesce(p.refund_total_minor, 0) - coalesce(rs.undone, 0)
            ) + coalesce(ds.outstanding, 0) as amount
        from fleet.purchases_of_payments(p_payment_ids) as of
        join public.coin_purchases as cp on cp.id = of.purchase_id
        left join public.coin_purchases as kept on kept.payment_id = of.payment_id
        left join fleet.payments as p on p.id = of.payment_id
        left join refund_sums as rs on rs.payment_id = of.payment_id
        left join dispute_sums as ds on ds.payment_id = of.payment_id
    ),
    targets as (
        select
            r.id,
            r.refunded_coins,
            r.outstanding > 0 as disputed,
            case
                when w.is_whole then case when r.outstanding > 0 then 'chargeback' else 'refunded' end
                when r.granted_at is not null then 'confirmed'
                else 'pending'
            end as status,
            case
                when r.granted_at is null then 0
                when w.is_whole then r.coin_amount
                when r.paid = 0 then 0
                else least(floor(r.coin_amount * r.amount::numeric(60, 40) / r.paid + 1e-20), r.coin_amount - 1)::bigint
            end as coins
        from reversed as r
        -- A payment of nothing has nothing to give back. Of 40 decimals 20 matter: three thirds are a whole.
        cross join lateral (select r.paid > 0 and r.amount + 1e-20 >= r.paid or r.is_taken_back as is_whole) as w
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
        array_agg(case when w.taken < 0 then 'reinstatement' when w.disputed then 'chargeback' else 'refund' end order by w.id) as reasons
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
comment on function fleet.settle_reversals(bigint[]) is 'Moves each payment''s purchase to what its refunds and disputes say: takes coins back or returns them, and derives the status. The caller holds the payments'' and the profiles'' locks.';
