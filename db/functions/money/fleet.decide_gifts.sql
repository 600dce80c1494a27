create or replace function fleet.decide_gifts(p_facts fleet.fact[])
returns fleet.gift_decision[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_gifts fleet.gift_decision[];
    v_eligible boolean[];
    v_costs bigint[];
    v_full boolean[];
    v_senders bigint[];
    v_balances bigint[];
    v_left bigint[];
begin
    -- A gift costs what its type costs now. What is wrong with it, whatever the balance is, becomes its refusal.
    select
        array_agg(
            row(
                g.event_id, coalesce(g.known_gift_id, nextval('public.gifts_id_seq')), g.refusal,
                g.known_gift_id is not null, g.provider_event_id, g.sender_id, g.recipient_id, g.stream_id, g.gift_type,
                g.quantity, g.slot_index, g.coin_amount,
                div(g.coin_amount::numeric * g.streamer_share_bps, 10000)::bigint,
                g.received_at
            )::fleet.gift_decision
            order by g.ordinality
        ),
        array_agg(g.refusal is null and g.known_gift_id is null order by g.ordinality),
        array_agg(g.coin_amount order by g.ordinality),
        array_agg(g.is_full order by g.ordinality),
        array_agg(g.sender_no order by g.ordinality),
        array_agg(g.coin_balance order by g.ordinality)
    into v_gifts, v_eligible, v_costs, v_full, v_senders, v_balances
    from (
        select
            f.event_id, f.ordinality, f.provider_event_id, f.sender_id, f.recipient_id, f.stream_id, f.gift_type,
            f.quantity, f.slot_index, f.received_at, sender.coin_balance, t.streamer_share_bps,
            least(t.coin_cost::numeric * f.quantity, 9223372036854775807)::bigint as coin_amount,
            known.id as known_gift_id,
            -- The gift would bring an account, the sum of all gifts sent or received, or what the stream was given of
            -- late beyond what can be counted.
            greatest(
                sender.total_spent, sender.total_gifts_sent, recipient.earnings_balance, recipient.total_gifts_received,
                stream.recent_gift_coins
            ) > 9223372036854775807 - least(t.coin_cost::numeric * f.quantity, 9223372036854775807) as is_full,
            dense_rank() over (order by f.sender_id) as sender_no,
            case
                when f.id_is_a_clients then 'reserved_event_id'
                when known.id is not null then null
                when t.code is null then 'unknown_gift_type'
                when f.sender_id = f.recipient_id then 'self_gift'
                when sender.id is null then 'unknown_sender'
                when recipient.id is null then 'unknown_recipient'
                when f.stream_id is not null and stream.id is null then 'unknown_stream'
                when row_number() over (partition by f.provider_event_id order by f.ordinality) > 1
                    then 'duplicate_gift'
                -- More coins than an account can count.
                when t.coin_cost::numeric * f.quantity > 9223372036854775807 then 'insufficient_coins'
            end as refusal
        from (
            -- The ids that process_gift makes begin with `client:`: an event of the app must not use up a viewer's
            -- key.
            select u.*, u.event_id is not null and starts_with(u.provider_event_id, 'client:') as id_is_a_clients
            from unnest(p_facts) with ordinality as u
        ) as f
        left join public.gift_types as t on t.code = f.gift_type and t.active
        left join public.profiles as sender on sender.id = f.sender_id
        left join public.profiles as recipient on recipient.id = f.recipient_id
        left join public.live_streams as stream on stream.id = f.stream_id
        left join public.gifts as known on known.provider_event_id = f.provider_event_id and not f.id_is_a_clients
        where f.kind = 'gift'
    ) as g;

    if v_gifts is null then
        return null;
    end if;
    -- Frozen coins are there and can't be spent. Mostly nobody's are, and this is one look-up.
    if exists (select 1 from fleet.frozen_purchases) then
        v_balances := fleet.spendable_coins(v_gifts, v_balances);
    end if;
    -- Gifts of one sender are judged one after the other, so that a small gift still fits after a large one that did
    -- not.
    v_left := array_fill(null::bigint, array[cardinality(v_gifts)]);
    for v_i in 1 .. cardinality(v_gifts) loop
        if v_eligible[v_i] then
            v_balances[v_i] := coalesce(v_left[v_senders[v_i]], v_balances[v_i]);
            -- Compared before the subtraction: a debt less the dearest gift is more than bigint holds.
            if v_balances[v_i] < v_costs[v_i] then
                v_gifts[v_i].refusal := 'insufficient_coins';
            elsif v_full[v_i] then
                v_gifts[v_i].refusal := 'account_full';
            else
                v_left[v_senders[v_i]] := v_balances[v_i] - v_costs[v_i];
            end if;
        end if;
    end loop;
    return v_gifts;
end
$$;

revoke all on function fleet.decide_gifts(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.decide_gifts(fleet.fact[]) is
    'Judges gift facts in input order against what their senders can spend: their balance less what is frozen. Writes '
    'nothing; the caller holds the profiles'' locks.';
