-- The least that writes a gift's rows on the same tables, keys and indexes: what no way of giving can be faster than.
create schema floors;

-- One gift of the signed-in profile: it locks, checks the price and the balance, and writes one gift, three entries
-- and two balances. It knows no freeze, no limit of an account, and tells no app.
create function floors.give(p_recipient_id uuid, p_gift_type text, p_key text)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_sender_id uuid := (select auth.uid());
    v_event_id text := 'client:' || v_sender_id || ':' || p_key;
    v_type public.gift_types;
    v_sender public.profiles;
    v_recipient public.profiles;
    v_share bigint;
    v_transaction_id bigint;
begin
    perform 1 from public.profiles as p where p.id in (v_sender_id, p_recipient_id) order by p.id for no key update;
    select * into v_type from public.gift_types as t where t.code = p_gift_type and t.active;
    select * into v_sender from public.profiles as p where p.id = v_sender_id;
    select * into v_recipient from public.profiles as p where p.id = p_recipient_id;
    if v_type.code is null or v_recipient.id is null or v_sender.coin_balance < v_type.coin_cost then
        raise exception 'no such gift, or too few coins';
    end if;
    v_share := v_type.coin_cost * v_type.streamer_share_bps / 10000;
    insert into public.gifts (
        provider_event_id, sender_id, recipient_id, gift_type, coin_amount, streamer_revenue, platform_revenue
    )
    values (
        v_event_id, v_sender_id, p_recipient_id, p_gift_type,
        v_type.coin_cost, v_share, v_type.coin_cost - v_share
    )
    on conflict (provider_event_id) do nothing;
    if not found then
        return v_sender.coin_balance;
    end if;
    v_transaction_id := nextval('fleet.ledger_transaction_id');
    insert into public.ledger_entries (
        transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key
    )
    values
    (
        v_transaction_id, 0, v_sender_id, 'coins', -v_type.coin_cost,
        v_sender.coin_balance - v_type.coin_cost, v_sender.coin_seq + 1, 'gift', 'gift:' || v_event_id
    ),
    (
        v_transaction_id, 1, p_recipient_id, 'earnings', v_share,
        v_recipient.earnings_balance + v_share, v_recipient.earnings_seq + 1, 'gift', 'gift:' || v_event_id
    ),
    (
        v_transaction_id, 2, null, 'platform_revenue', v_type.coin_cost - v_share,
        null, null, 'gift', 'gift:' || v_event_id
    );
    update public.profiles as p
    set
        coin_balance = p.coin_balance - v_type.coin_cost,
        coin_seq = p.coin_seq + 1,
        total_spent = p.total_spent + v_type.coin_cost,
        total_gifts_sent = p.total_gifts_sent + v_type.coin_cost
    where p.id = v_sender_id;
    update public.profiles as p
    set
        earnings_balance = p.earnings_balance + v_share,
        earnings_seq = p.earnings_seq + 1,
        total_gifts_received = p.total_gifts_received + v_type.coin_cost
    where p.id = p_recipient_id;
    return v_sender.coin_balance - v_type.coin_cost;
end
$$;

-- A batch of gifts whose price is known, as the rows that applying their events leaves: nothing is decided.
create function floors.write_gifts(
    p_event_ids bigint[], p_names text[], p_sender_ids uuid[], p_recipient_ids uuid[],
    p_gift_type text, p_cost bigint, p_share bigint
)
returns void
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    perform 1
    from public.profiles as p
    where p.id = any(p_sender_ids || p_recipient_ids)
    order by p.id
    for no key update;
    insert into public.gifts (
        provider_event_id, sender_id, recipient_id, gift_type, coin_amount, streamer_revenue, platform_revenue
    )
    select g.name, g.sender_id, g.recipient_id, p_gift_type, p_cost, p_share, p_cost - p_share
    from unnest(p_names, p_sender_ids, p_recipient_ids) as g (name, sender_id, recipient_id);

    insert into public.ledger_entries (
        transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key
    )
    select
        g.transaction_id, leg.no, leg.profile_id, leg.account, leg.amount,
        case leg.account when 'coins' then p.coin_balance when 'earnings' then p.earnings_balance end
        + sum(leg.amount) over of_account,
        case leg.account when 'coins' then p.coin_seq when 'earnings' then p.earnings_seq end
        + row_number() over of_account,
        'gift', 'gift:' || g.name
    from (
        -- The gifts, each with its transaction.
        select u.*, nextval('fleet.ledger_transaction_id') as transaction_id
        from unnest(p_names, p_sender_ids, p_recipient_ids) with ordinality
            as u (name, sender_id, recipient_id, ordinality)
    ) as g
    cross join lateral (
        -- Its three entries.
        values
        (0, g.sender_id, 'coins', -p_cost),
        (1, g.recipient_id, 'earnings', p_share),
        (2, null::uuid, 'platform_revenue', p_cost - p_share)
    ) as leg (no, profile_id, account, amount)
    left join public.profiles as p on p.id = leg.profile_id
    window of_account as (
        partition by leg.profile_id, leg.account order by g.ordinality rows unbounded preceding
    );

    update public.profiles as p
    set
        coin_balance = p.coin_balance - d.sent * p_cost,
        coin_seq = p.coin_seq + d.sent,
        earnings_balance = p.earnings_balance + d.received * p_share,
        earnings_seq = p.earnings_seq + d.received,
        total_spent = p.total_spent + d.sent * p_cost,
        total_gifts_sent = p.total_gifts_sent + d.sent * p_cost,
        total_gifts_received = p.total_gifts_received + d.received * p_cost
    from (
        -- How many each profile sent and got.
        select u.id, sum(u.sent) as sent, sum(u.received) as received
        from (
            -- A row per side of a gift.
            select s.id, 1 as sent, 0 as received from unnest(p_sender_ids) as s (id)
            union all
            select r.id, 0, 1 from unnest(p_recipient_ids) as r (id)
        ) as u
        group by u.id
    ) as d
    where p.id = d.id;

    update fleet.inbox_events as e
    set state = 'applied', processed_at = clock_timestamp()
    where e.id = any(p_event_ids);
end
$$;

-- A ledger with a past: so many adjustments of a coin for each profile, beside what it has.
create function floors.age(p_adjustments integer)
returns void
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    insert into public.ledger_entries (
        transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key
    )
    select
        t.transaction_id, leg.no, leg.profile_id, leg.account, leg.amount,
        case leg.no when 0 then t.coin_balance + t.adjustment end,
        case leg.no when 0 then t.coin_seq + t.adjustment end,
        'adjustment', 'age:' || t.id || ':' || t.adjustment
    from (
        -- The adjustments in the order of time, each with its transaction.
        select p.id, p.coin_balance, p.coin_seq, n.adjustment, nextval('fleet.ledger_transaction_id') as transaction_id
        from generate_series(1, p_adjustments) as n (adjustment)
        cross join public.profiles as p
    ) as t
    cross join lateral (
        -- Its two entries.
        values (0, t.id, 'coins', 1), (1, null::uuid, 'adjustments', -1)
    ) as leg (no, profile_id, account, amount);
    update public.profiles as p
    set coin_balance = p.coin_balance + p_adjustments, coin_seq = p.coin_seq + p_adjustments;
$$;
