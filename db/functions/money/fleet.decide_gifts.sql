create or replace function fleet.decide_gifts(p_facts fleet.fact[])
returns fleet.gift_decision[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_fact fleet.fact;
    v_gifts fleet.gift_decision[];
    v_gift fleet.gift_decision;
    -- What is looked up for each gift: of its type the price of one and the streamer's share, what its sender has, the
    -- largest of all sums that it adds to, who is there, and the gift that has its id.
    v_prices bigint[];
    v_shares integer[];
    v_balances bigint[];
    v_counts bigint[];
    v_has_recipient boolean[];
    v_has_stream boolean[];
    v_known_ids bigint[];
    -- Which gifts have a sender in common, and which come a second time.
    v_senders bigint[];
    v_repeated boolean[];
    v_left bigint[];
    v_balance bigint;
    v_cost numeric;
begin
    if cardinality(p_facts) = 1 then
        -- By its keys: to set up a join of six tables takes longer than to read one row of each.
        v_fact := p_facts[1];
        if v_fact.kind <> 'gift' then
            return null;
        end if;
        v_gifts := array[row(
            v_fact.event_id, null, null, null, v_fact.provider_event_id, v_fact.sender_id, v_fact.recipient_id,
            v_fact.stream_id, v_fact.gift_type, v_fact.quantity, v_fact.slot_index, null, null, v_fact.received_at
        )::fleet.gift_decision];
        v_senders := array[1];
        v_repeated := array[false];
        select array[t.coin_cost], array[t.streamer_share_bps] into v_prices, v_shares
        from public.gift_types as t
        where t.code = v_fact.gift_type and t.active;
        select array[pr.coin_balance], array[greatest(pr.total_spent, pr.total_gifts_sent)] into v_balances, v_counts
        from public.profiles as pr
        where pr.id = v_fact.sender_id;
        select array[true], array[greatest(v_counts[1], pr.earnings_balance, pr.total_gifts_received)]
        into v_has_recipient, v_counts
        from public.profiles as pr
        where pr.id = v_fact.recipient_id;
        if v_fact.stream_id is not null then
            select array[true], array[greatest(v_counts[1], s.recent_gift_coins)] into v_has_stream, v_counts
            from public.live_streams as s
            where s.id = v_fact.stream_id;
        end if;
        v_known_ids := array[(select g.id from public.gifts as g where g.provider_event_id = v_fact.provider_event_id)];
    else
        select
            array_agg(
                row(
                    f.event_id, null, null, null, f.provider_event_id, f.sender_id, f.recipient_id, f.stream_id,
                    f.gift_type, f.quantity, f.slot_index, null, null, f.received_at
                )::fleet.gift_decision
                order by f.ordinality
            ),
            array_agg(f.sender_no order by f.ordinality),
            array_agg(f.is_repeated order by f.ordinality),
            array_agg(t.coin_cost order by f.ordinality),
            array_agg(t.streamer_share_bps order by f.ordinality),
            array_agg(sender.coin_balance order by f.ordinality),
            array_agg(
                greatest(
                    sender.total_spent, sender.total_gifts_sent, recipient.earnings_balance,
                    recipient.total_gifts_received, stream.recent_gift_coins
                )
                order by f.ordinality
            ),
            array_agg(recipient.id is not null order by f.ordinality),
            array_agg(stream.id is not null order by f.ordinality),
            array_agg(known.id order by f.ordinality)
        into
            v_gifts, v_senders, v_repeated, v_prices, v_shares, v_balances, v_counts, v_has_recipient, v_has_stream,
            v_known_ids
        from (
            select
                u.*,
                dense_rank() over (order by u.sender_id) as sender_no,
                row_number() over (partition by u.provider_event_id order by u.ordinality) > 1 as is_repeated
            from unnest(p_facts) with ordinality as u
            where u.kind = 'gift'
        ) as f
        -- Look-ups: the plan of a join that was made for few rows would read all of them at each batch.
        left join lateral (
            select g.coin_cost, g.streamer_share_bps
            from public.gift_types as g
            where g.code = f.gift_type and g.active
            limit 1
        ) as t on true
        left join lateral (
            select pr.coin_balance, pr.total_spent, pr.total_gifts_sent
            from public.profiles as pr
            where pr.id = f.sender_id
            limit 1
        ) as sender on true
        left join lateral (
            select pr.id, pr.earnings_balance, pr.total_gifts_received
            from public.profiles as pr
            where pr.id = f.recipient_id
            limit 1
        ) as recipient on true
        left join lateral (
            select l.id, l.recent_gift_coins from public.live_streams as l where l.id = f.stream_id limit 1
        ) as stream on true
        left join lateral (
            select g.id from public.gifts as g where g.provider_event_id = f.provider_event_id limit 1
        ) as known on true;
        if v_gifts is null then
            return null;
        end if;
    end if;

    -- Frozen coins are there and can't be spent. Mostly nobody's are, and this is one look-up.
    if exists (select 1 from fleet.frozen_purchases) then
        v_balances := fleet.spendable_coins(v_gifts, v_balances);
    end if;
    -- Gifts of one sender are judged one after the other, so that a small gift still fits after a large one that did
    -- not.
    v_left := array_fill(null::bigint, array[cardinality(v_gifts)]);
    for v_i in 1 .. cardinality(v_gifts) loop
        v_gift := v_gifts[v_i];
        v_balance := coalesce(v_left[v_senders[v_i]], v_balances[v_i]);
        -- A gift costs what its type costs now; that may be more than an account can count.
        v_cost := v_prices[v_i]::numeric * v_gift.quantity;
        v_gift.refusal := case
            -- The ids that process_gift makes begin with `client:`: an event of the app must not use up a viewer's key.
            when v_gift.event_id is not null and starts_with(v_gift.provider_event_id, 'client:')
                then 'reserved_event_id'
            when v_known_ids[v_i] is not null then null
            when v_cost is null then 'unknown_gift_type'
            when v_gift.sender_id = v_gift.recipient_id then 'self_gift'
            when v_balance is null then 'unknown_sender'
            when v_has_recipient[v_i] is not true then 'unknown_recipient'
            when v_gift.stream_id is not null and v_has_stream[v_i] is not true then 'unknown_stream'
            when v_repeated[v_i] then 'duplicate_gift'
            when v_balance < v_cost then 'insufficient_coins'
            -- It would bring an account, the sum of all gifts sent or received, or what the stream was given of late
            -- beyond what can be counted.
            when v_counts[v_i] > 9223372036854775807 - v_cost then 'account_full'
        end;
        v_gift.replayed := v_gift.refusal is null and v_known_ids[v_i] is not null;
        v_gift.coin_amount := case when v_cost is not null then least(v_cost, 9223372036854775807) end;
        if v_gift.replayed then
            v_gift.gift_id := v_known_ids[v_i];
        elsif v_gift.refusal is null then
            v_gift.gift_id := nextval('public.gifts_id_seq');
            v_gift.streamer_revenue := div(v_cost * v_shares[v_i], 10000);
            v_left[v_senders[v_i]] := v_balance - v_gift.coin_amount;
        end if;
        v_gifts[v_i] := v_gift;
    end loop;
    return v_gifts;
end
$$;

revoke all on function fleet.decide_gifts(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.decide_gifts(fleet.fact[]) is
    'Judges gift facts in input order against what their senders can spend: their balance less what is frozen. Writes '
    'nothing; the caller holds the profiles'' locks.';
