-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.tell_entries(p_postings fleet.posting[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_told record;
begin
    -- What an upgrade copies from an older generation is no news.
    if to_regnamespace('upgrade') is not null then
        return;
    end if;
    select
        array_agg(t.type order by t.id) as types,
        array_agg(t.key order by t.id) as keys,
        array_agg(t.data order by t.id) as data,
        array_agg(t.credited_id) filter (where t.credited_id is not null) as credited_ids
    into v_told
    from (
        select
            e.id,
            'gift.applied' as type,
            'gift-applied-' || g.id as key,
            jsonb_build_object(
                'event_id', g.provider_event_id,
                'profile_id', g.sender_id,
                'coins', g.coin_amount,
                'coin_balance', e.balance_after,
                'seq', e.seq,
                'gift_id', g.id,
                'recipient_id', g.recipient_id,
                'gift_type', g.gift_type,
                'quantity', g.quantity,
                'stream_id', g.stream_id,
                'slot_index', g.slot_index,
                'earnings', g.streamer_revenue
            ) as data,
            null::bigint as credited_id
        from unnest(p_postings) as p
        join public.ledger_entries as e on e.idempotency_key = p.idempotency_key and e.leg = 0
        join public.gifts as g on g.provider_event_id = substr(p.idempotency_key, length('gift:') + 1)
        where p.leg = 0 and p.reason = 'gift'
        union all
        select
            e.id,
            'purchase.credited',
            'purchase-credited-' || cp.id,
            fleet.purchase_data(cp, e.amount, e.balance_after, e.seq, null),
            cp.id
        from unnest(p_postings) as p
        join public.ledger_entries as e on e.idempotency_key = p.idempotency_key and e.leg = 0
        -- The key is purchase:<provider>:<payment id>.
        cross join lateral (select substr(p.idempotency_key, length('purchase:') + 1) as names) as k
        join public.coin_purchases as cp on cp.provider_payment_id = substr(k.names, strpos(k.names, ':') + 1)
        where p.leg = 0 and p.reason = 'purchase'
        union all
        select
            e.id,
            case when e.amount < 0 then 'purchase.reversed' else 'purchase.reinstated' end,
            case when e.amount < 0 then 'purchase-reversed-' else 'purchase-reinstated-' end
            || cp.id || '-' || e.transaction_id,
            fleet.purchase_data(
                cp, abs(e.amount), e.balance_after, e.seq, case when e.amount < 0 then e.reason end
            ),
            null
        from unnest(p_postings) as p
        join public.ledger_entries as e on e.idempotency_key = p.idempotency_key and e.leg = 0
        -- The key is reversal:<purchase id>:<number>.
        join public.coin_purchases as cp on cp.id = split_part(p.idempotency_key, ':', 2)::bigint
        where p.leg = 0 and p.reason in ('refund', 'chargeback', 'reinstatement')
    ) as t;
    if v_told.keys is null then
        return;
    end if;
    perform fleet.drop_untold_holds(v_told.credited_ids);
    perform fleet.write_deliveries(v_told.types, v_told.keys, v_told.data);
end
$$;

revoke all on function fleet.tell_entries(fleet.posting[]) from public, anon, authenticated, service_role;
comment on function fleet.tell_entries(fleet.posting[]) is
    'Tells the app of gifts that were applied and of purchases that were credited, reversed or reinstated: one message '
    'per ledger transaction. fleet.post_ledger calls it while the app is told.';
