create or replace function fleet.apply_gifts(p_facts fleet.fact[], p_batch_ids bigint[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_gifts fleet.gift_decision[] := fleet.decide_gifts(p_facts);
    v_gift fleet.gift_decision;
    v_outcome fleet.outcome;
    v_refused fleet.outcome[];
    v_first_open bigint;
begin
    perform fleet.write_gifts(v_gifts, p_now);
    foreach v_gift in array v_gifts loop
        -- Workers overtake one another: the purchase that a gift short of coins needs may still be applied soon.
        if v_gift.refusal = 'insufficient_coins' and v_first_open is null then
            v_first_open := coalesce(fleet.first_open_event(p_batch_ids), 9223372036854775807);
        end if;
        v_outcome := row(
            v_gift.event_id,
            case
                when v_gift.refusal is null then 'applied'
                when v_gift.refusal = 'insufficient_coins' and v_gift.event_id > v_first_open
                    and v_gift.received_at > p_now - interval '5 seconds' then 'pending'
                when v_gift.refusal = 'duplicate_gift' then 'applied'
                else 'rejected'
            end,
            v_gift.refusal, null, null, v_gift.gift_id, v_gift.replayed, p_now + interval '100 milliseconds', null
        )::fleet.outcome;
        if v_outcome.state = 'rejected' then
            v_refused := v_refused || v_outcome;
        end if;
        return next v_outcome;
    end loop;
    if v_refused is not null then
        perform fleet.tell_refused_gifts(v_gifts, v_refused);
    end if;
end
$$;

revoke all on function fleet.apply_gifts(fleet.fact[], bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.apply_gifts(fleet.fact[], bigint[], timestamptz) is
    'Applies or refuses the gifts among the facts, of which one is a gift at least. One outcome per gift; a gift short '
    'of coins stays open for 5 s while an earlier event is pending.';
