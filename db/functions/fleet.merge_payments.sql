create or replace function fleet.merge_payments(p_provider text, p_keys text[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_payment_ids bigint[];
    v_kept bigint;
    v_merged bigint[];
begin
    -- Looked up now: an earlier merge of the batch may have moved some of these keys.
    v_payment_ids := array(
        select distinct k.payment_id from fleet.payment_keys as k where k.provider = p_provider and k.key = any(p_keys)
    );
    -- The payment with the purchase stays; two purchases are two payments, whatever an event says.
    select coalesce(
        min(u.payment_id) filter (where cp.id is not null),
        min(u.payment_id)
    ) into v_kept
    from unnest(v_payment_ids) as u (payment_id)
    left join public.coin_purchases as cp on cp.payment_id = u.payment_id;

    v_merged := array(
        select u.payment_id
        from unnest(v_payment_ids) as u (payment_id)
        left join public.coin_purchases as cp on cp.payment_id = u.payment_id
        where u.payment_id <> v_kept and cp.id is null
    );
    update fleet.payment_keys set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.refunds set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.disputes set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.payment_halves set payment_id = v_kept where payment_id = any(v_merged);
    update fleet.inbox_events set payment_id = v_kept
    where payment_id = any(v_merged) and state in ('waiting', 'held');
    with gone as (
        delete from fleet.payments where id = any(v_merged) returning refund_total_minor, is_foreign
    )
    insert into fleet.payments as p (id, is_foreign, refund_total_minor)
    select v_kept, bool_or(g.is_foreign), max(g.refund_total_minor) from gone as g having count(*) > 0
    on conflict (id) do update set
        is_foreign = p.is_foreign or excluded.is_foreign,
        refund_total_minor = greatest(p.refund_total_minor, excluded.refund_total_minor);
end
$$;

revoke all on function fleet.merge_payments(text, text[]) from public, anon, authenticated, service_role;
comment on function fleet.merge_payments(text, text[]) is 'Makes one payment of those that an event showed to be the same by naming all these keys. The caller holds the locks on every key of each.';
