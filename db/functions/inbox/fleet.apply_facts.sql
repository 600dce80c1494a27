create or replace function fleet.apply_facts(p_facts fleet.fact[], p_batch_ids bigint[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    -- A function that finds nothing to do costs a batch of one event as much as one that does.
    v_kinds text[] := array(select distinct f.kind from unnest(p_facts) as f);
begin
    if v_kinds && '{verdict,names}' then
        return query select * from fleet.apply_verdicts(p_facts, p_now);
    end if;
    if 'question' = any(v_kinds) then
        return query select * from fleet.ask_questions(p_facts, p_now);
    end if;
    if 'store_inquiry' = any(v_kinds) then
        perform fleet.note_inquiries(p_facts);
        p_facts := fleet.snapshots_of_inquiries(p_facts);
        return query
        select f.event_id, 'applied', null, f.payment_id, null::bigint, null::bigint, false, null::timestamptz, null
        from unnest(p_facts) as f
        where f.kind = 'store_inquiry';
        v_kinds := v_kinds || array(select distinct f.kind from unnest(p_facts) as f);
    end if;
    if v_kinds && '{purchase,store_purchase}' then
        return query select * from fleet.apply_purchases(p_facts, p_now);
    end if;
    if 'freeze' = any(v_kinds) then
        perform fleet.store_freezes(p_facts);
        perform fleet.settle_freezes(
            array(select f.payment_id from unnest(p_facts) as f where f.kind = 'freeze'), p_now
        );
    end if;
    if 'gift' = any(v_kinds) then
        return query select * from fleet.apply_gifts(p_facts, p_batch_ids, p_now);
    end if;
    if v_kinds && '{refund,refund_total,dispute,charge_failed,freeze,store_snapshot,store_void}' then
        return query select * from fleet.apply_reversals(p_facts, p_now);
    end if;
end
$$;

revoke all on function fleet.apply_facts(fleet.fact[], bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.apply_facts(fleet.fact[], bigint[], timestamptz) is
    'Applies facts whose payments and profiles are locked: questions are asked; first purchases, then '
    'freezes, then gifts, so that a gift can spend the coins of a purchase in the same batch and none that are frozen, '
    'then reversals. What a store asks is kept, and what it tells of its purchase besides counts as a reversal.';
