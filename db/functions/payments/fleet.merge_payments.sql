create or replace function fleet.merge_payments(p_provider text, p_keys text[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_payment_ids bigint[];
    v_purchases integer;
    v_kept bigint;
    v_merged bigint[];
    v_gone fleet.payments;
begin
    -- Looked up only now: an earlier merge of the batch may have moved some of these keys.
    v_payment_ids := array(
        select distinct k.payment_id from fleet.payment_keys as k where k.provider = p_provider and k.key = any(p_keys)
    );
    -- The payment that has the purchase keeps all names; of several such payments, the one that the provider itself
    -- told of, because refunds are divided by its amount.
    select
        (array_agg(u.payment_id order by cp.id is null, cp.sku is null, cp.granted_at is null, u.payment_id))[1],
        count(cp.id)
    into v_kept, v_purchases
    from unnest(v_payment_ids) as u (payment_id)
    left join lateral (
        select p.id, p.granted_at, p.sku from public.coin_purchases as p where p.payment_id = u.payment_id limit 1
    ) as cp on true;
    v_merged := array_remove(v_payment_ids, v_kept);

    -- Purchases keep their payment_id; this row says whose names they share now.
    update fleet.joined_purchases set payment_id = v_kept where payment_id = any(v_merged);
    if v_purchases > 1 then
        insert into fleet.joined_purchases (purchase_id, payment_id)
        select cp.id, v_kept
        from unnest(v_payment_ids) as u (payment_id)
        cross join lateral (select p.id from public.coin_purchases as p where p.payment_id = u.payment_id limit 1) as cp
        on conflict do nothing;
    end if;
    update fleet.payment_keys set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.refunds set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.disputes set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.freezes set payment_id = v_kept where payment_id = any(v_merged);
    perform fleet.merge_store_payments(v_kept, v_merged);
    update fleet.payment_halves set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.inbox_events set payment_id = v_kept
    where payment_id = any(v_merged) and state in ('waiting', 'held');
    for v_gone in
        delete from fleet.payments as p where p.id = any(v_merged) returning p.*
    loop
        v_gone.id := v_kept;
        insert into fleet.payments as p select v_gone.*
        on conflict (id) do update
        set (
            is_foreign, refund_total_minor, refund_total_at, uncaptured_minor, uncaptured_at,
            held_minor, held_currency, held_event_id, held_reason, charge_minor, charge_currency,
            total_minor, total_currency, total_told_by, rejection
        ) = (
            select
                n.is_foreign, n.refund_total_minor, n.refund_total_at, n.uncaptured_minor, n.uncaptured_at,
                n.held_minor, n.held_currency, n.held_event_id, n.held_reason,
                n.charge_minor, n.charge_currency,
                n.total_minor, n.total_currency, n.total_told_by, n.rejection
            from fleet.newer_payment(p, excluded) as n
        );
    end loop;
end
$$;

revoke all on function fleet.merge_payments(text, text[]) from public, anon, authenticated, service_role;
comment on function fleet.merge_payments(text, text[]) is
    'Makes one payment of those that an event showed to be the same by naming all these keys; their purchases are '
    'joined. The caller holds the locks on every key of each payment.';
