-- Each purchase as the fleet's own functions would have left it: its payment's key, so that a refund that comes
-- tomorrow finds it; its reversal, if any, as facts of the payment; and its ledger entries.
create or replace function upgrade.copy_purchases(p_after bigint, p_upto bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform 1
    from public.profiles as p
    where p.id in (
        select s.profile_id from upgrade.purchases as s where s.no > p_after and s.no <= p_upto and s.fate = 'move'
    )
    order by p.id
    for no key update;

    with batch as (
        select
            s.*,
            nextval('fleet.payment_id') as payment_no,
            t.prefix || 'purchase:' || s.id as own_event_id
        from upgrade.purchases as s
        cross join upgrade.this as t
        where s.no > p_after and s.no <= p_upto and s.fate = 'move'
    ),
    keys as (
        insert into fleet.payment_keys (provider, key, payment_id)
        select b.provider, b.payment_id, b.payment_no from batch as b order by b.provider, b.payment_id
    ),
    refunded as (
        insert into fleet.payments (id, refund_total_minor)
        -- The least amount that takes back as many coins: a later, larger total takes the rest.
        select b.payment_no, div(b.coins_taken * b.amount_minor + b.coins - 1, b.coins)
        from batch as b
        where b.coins_taken > 0 and not b.is_disputed
    ),
    disputed as (
        insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor)
        select b.provider, b.own_event_id, b.payment_no, b.amount_minor from batch as b where b.is_disputed
    ),
    withdrawn as (
        insert into fleet.dispute_transactions (provider, dispute_id, transaction_id, amount)
        select b.provider, b.own_event_id, b.own_event_id, -b.amount_minor from batch as b where b.is_disputed
    )
    insert into public.coin_purchases (
        id, payment_id, profile_id, provider, provider_event_id, provider_payment_id, coin_amount, amount_minor,
        currency, usd_amount, status, refunded_coins, max_purchase_limit, purchased_at, granted_at, created_at
    )
    select
        b.id, b.payment_no, b.profile_id, b.provider, coalesce(b.event_id, b.own_event_id), b.payment_id, b.coins,
        b.amount_minor, b.currency,
        case when b.currency = 'usd' and b.amount_minor < 1e12 then b.amount_minor / 100.0 end,
        case when b.coins_taken < b.coins then 'confirmed' when b.is_disputed then 'chargeback' else 'refunded' end,
        b.coins_taken, r.purchase_limit_usd, w.happened_at, w.happened_at, w.happened_at
    from batch as b
    cross join fleet.settings as r
    -- An unknown time counts as earlier than all known ones.
    cross join lateral (select coalesce(b.purchased_at, 'epoch') as happened_at) as w;

    perform fleet.post_ledger(
        array(
            select leg.posting
            from (
                -- The purchases of this batch, numbered: one ledger transaction each.
                select p.*, s.is_disputed, row_number() over (order by s.no) as ordinality
                from upgrade.purchases as s
                join public.coin_purchases as p on p.id = s.id
                where s.no > p_after and s.no <= p_upto and s.fate = 'move'
            ) as p
            cross join lateral (select 'purchase:' || p.provider || ':' || p.provider_payment_id as key) as k
            cross join lateral (
                -- Its two entries: to the buyer, from the coins issued.
                values
                (row(p.ordinality, 0, p.profile_id, 'coins', p.coin_amount, 'purchase', k.key, null)::fleet.posting),
                (row(p.ordinality, 1, null, 'coins_issued', -p.coin_amount, 'purchase', k.key, null)::fleet.posting)
            ) as leg (posting)
            order by p.ordinality
        )
    );
    perform fleet.post_ledger(
        array(
            select leg.posting
            from (
                -- Those of them that were taken back, numbered in the same way.
                select
                    p.*,
                    case when s.is_disputed then 'chargeback' else 'refund' end as reason,
                    'reversal:' || p.id || ':' || nextval('fleet.reversal_no') as key,
                    row_number() over (order by s.no) as ordinality
                from upgrade.purchases as s
                join public.coin_purchases as p on p.id = s.id
                where s.no > p_after and s.no <= p_upto and s.fate = 'move' and s.coins_taken > 0
            ) as p
            cross join lateral (
                -- Its two entries: from the buyer, back to the coins issued.
                values
                (row(p.ordinality, 0, p.profile_id, 'coins', -p.refunded_coins, p.reason, p.key, null)::fleet.posting),
                (row(p.ordinality, 1, null, 'coins_issued', p.refunded_coins, p.reason, p.key, null)::fleet.posting)
            ) as leg (posting)
            order by p.ordinality
        )
    );

    insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
    select s.source_table, s.source_key, n.note, n.old_value
    from upgrade.purchases as s
    cross join lateral (
        values
        ('refund_beyond_its_amount', case when s.old_taken <> s.coins_taken then s.old_taken::text end),
        ('provider_event_id_taken', case when s.event_id is null then s.old_event_id end),
        ('provider_unknown', case when s.provider <> s.old_provider then s.old_provider end),
        ('time_unknown', case when s.purchased_at is null then '' end)
    ) as n (note, old_value)
    where s.no > p_after and s.no <= p_upto and s.fate = 'move' and n.old_value is not null;
end
$$;
