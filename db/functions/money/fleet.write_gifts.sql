create or replace function fleet.write_gifts(p_gifts fleet.gift_decision[], p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_gift fleet.gift_decision;
    v_key text;
    v_no integer := 0;
    v_postings fleet.posting[];
begin
    insert into public.gifts (
        id, provider_event_id, sender_id, recipient_id, stream_id, gift_type, quantity, slot_index,
        coin_amount, platform_revenue, streamer_revenue, created_at
    )
    select
        g.gift_id, g.provider_event_id, g.sender_id, g.recipient_id, g.stream_id, g.gift_type, g.quantity, g.slot_index,
        g.coin_amount, g.coin_amount - g.streamer_revenue, g.streamer_revenue, p_now
    from unnest(p_gifts) as g
    where g.refusal is null and not g.replayed;

    foreach v_gift in array p_gifts loop
        if v_gift.refusal is null and not v_gift.replayed then
            v_key := 'gift:' || v_gift.provider_event_id;
            v_postings[3 * v_no + 1] := row(
                v_no + 1, 0, v_gift.sender_id, 'coins', -v_gift.coin_amount, 'gift', v_key, null
            )::fleet.posting;
            v_postings[3 * v_no + 2] := row(
                v_no + 1, 1, v_gift.recipient_id, 'earnings', v_gift.streamer_revenue, 'gift', v_key, v_gift.coin_amount
            )::fleet.posting;
            v_postings[3 * v_no + 3] := row(
                v_no + 1, 2, null, 'platform_revenue', v_gift.coin_amount - v_gift.streamer_revenue, 'gift', v_key, null
            )::fleet.posting;
            v_no := v_no + 1;
        end if;
    end loop;
    perform fleet.post_ledger(v_postings);
end
$$;

revoke all on function fleet.write_gifts(fleet.gift_decision[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.write_gifts(fleet.gift_decision[], timestamptz) is
    'Writes the gifts that were not refused and are new, and moves their coins. The caller holds the profiles'' locks '
    'and has decided.';
