create or replace function fleet.await_sessions(
    p_decisions fleet.purchase_decision[], p_facts fleet.fact[], p_now timestamptz
)
returns fleet.purchase_decision[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_payment_ids bigint[];
begin
    v_payment_ids := array(
        select d.payment_id
        from unnest(p_decisions) as d
        join unnest(p_facts) as f on f.event_id = d.event_id
        where d.creates and d.hold_reason = 'wrong_amount' and d.received_at > p_now - interval '15 minutes'
            and f.told_by = 'intent' and f.hold_reason is null
            and not exists (
                select 1 from fleet.payment_halves as h where h.payment_id = d.payment_id and h.told_by = 'session'
            )
        except
        select f.payment_id from unnest(p_facts) as f where f.kind = 'purchase' and f.told_by = 'session'
    );
    if cardinality(v_payment_ids) = 0 then
        return p_decisions;
    end if;
    for v_i in 1 .. cardinality(p_decisions) loop
        if p_decisions[v_i].payment_id = any(v_payment_ids) then
            p_decisions[v_i].creates := false;
            p_decisions[v_i].purchase_id := null;
            p_decisions[v_i].state := 'waiting';
            p_decisions[v_i].reason := 'no_session_yet';
        end if;
    end loop;
    return p_decisions;
end
$$;

revoke all on function fleet.await_sessions(fleet.purchase_decision[], fleet.fact[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.await_sessions(fleet.purchase_decision[], fleet.fact[], timestamptz) is
    'Lets payment intents of a wrong amount wait up to 15 minutes for their checkout session, which tells how much of '
    'the amount is shipping and tax.';
