create or replace function fleet.apply_gifts(p_facts fleet.fact[], p_batch_ids bigint[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_gifts fleet.gift_decision[];
    v_first_open bigint;
    v_outcomes fleet.outcome[];
begin
    if not exists (select 1 from unnest(p_facts) as f where f.kind = 'gift') then
        return;
    end if;
    v_gifts := fleet.decide_gifts(p_facts);
    insert into public.gifts (
        id, provider_event_id, sender_id, recipient_id, stream_id, gift_type, quantity, slot_index,
        coin_amount, platform_revenue, streamer_revenue, created_at
    )
    select
        g.gift_id, g.provider_event_id, g.sender_id, g.recipient_id, g.stream_id, g.gift_type, g.quantity, g.slot_index,
        g.coin_amount, g.coin_amount - g.streamer_revenue, g.streamer_revenue, p_now
    from unnest(v_gifts) as g
    where g.refusal is null and not g.replayed;

    perform fleet.post_ledger(
        array(
            select row(
                g.ordinality, leg.no, case leg.no when 0 then g.sender_id when 1 then g.recipient_id end,
                case leg.no when 0 then 'coins' when 1 then 'earnings' else 'platform_revenue' end,
                case leg.no
                    when 0 then -g.coin_amount
                    when 1 then g.streamer_revenue
                    else g.coin_amount - g.streamer_revenue
                end,
                'gift', 'gift:' || g.provider_event_id, case leg.no when 1 then g.coin_amount end
            )::fleet.posting
            from unnest(v_gifts) with ordinality as g
            cross join (values (0), (1), (2)) as leg (no)
            where g.refusal is null and not g.replayed
            order by g.ordinality, leg.no
        )
    );

    -- Workers overtake one another: the purchase that a gift short of coins needs may still be applied soon.
    if exists (
        select 1 from unnest(v_gifts) as g where g.refusal = 'insufficient_coins' and g.event_id is not null
    ) then
        v_first_open := fleet.first_open_event(p_batch_ids);
    end if;
    v_outcomes := array(
        select row(
            g.event_id,
            case
                when g.refusal is null then 'applied'
                when g.refusal = 'insufficient_coins' and g.event_id > v_first_open
                    and g.received_at > p_now - interval '5 seconds' then 'pending'
                when g.refusal = 'duplicate_gift' then 'applied'
                else 'rejected'
            end,
            g.refusal,
            null,
            null,
            g.gift_id,
            g.replayed,
            p_now + interval '100 milliseconds',
            null
        )::fleet.outcome
        from unnest(v_gifts) as g
    );
    perform fleet.tell_refused_gifts(v_gifts, v_outcomes);
    return query select * from unnest(v_outcomes);
end
$$;

revoke all on function fleet.apply_gifts(fleet.fact[], bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.apply_gifts(fleet.fact[], bigint[], timestamptz) is
    'Applies or refuses the gifts among the facts. One outcome per gift fact; a gift short of coins stays open for 5 s '
    'while an earlier event is pending.';
