-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.held_store_facts(p_payment_ids bigint[])
returns table (purchase_id bigint, fact fleet.fact)
language plpgsql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_held record;
begin
    for v_held in
        select cp.*, e.id as event_id, e.received_at, s.is_sandbox
        from public.coin_purchases as cp
        join fleet.store_payments as s on s.payment_id = cp.payment_id
        join fleet.inbox_events as e on e.provider = cp.provider and e.provider_event_id = cp.provider_event_id
        where cp.payment_id = any(p_payment_ids) and cp.granted_at is null and cp.decision is null
            and cp.status = 'pending' and cp.hold_reason in ('unknown_product', 'no_fx_rate')
            -- A purchase that shares its payment with another is left to a person: the other may be granted.
            and not exists (select 1 from fleet.joined_purchases as j where j.purchase_id = cp.id)
            -- A first approval is of what was known then.
            and not exists (select 1 from fleet.decisions as d where d.purchase_id = cp.id)
        order by cp.id
    loop
        purchase_id := v_held.id;
        fact := null;
        fact.kind := 'store_purchase';
        fact.event_id := v_held.event_id;
        fact.received_at := v_held.received_at;
        fact.payment_id := v_held.payment_id;
        fact.provider := v_held.provider;
        -- Under its own ids it would find them taken, by itself.
        fact.provider_event_id := 'amended:' || v_held.id;
        fact.provider_payment_id := 'amended:' || v_held.id;
        fact.profile_id := v_held.profile_id;
        fact.amount_minor := v_held.amount_minor;
        fact.currency := v_held.currency;
        fact.purchased_at := v_held.purchased_at;
        -- The rules for what costs nothing apply again, with what its buyer was granted meanwhile.
        fact.is_sandbox := v_held.is_sandbox;
        fact.line_items := fleet.line_items_of_payment(v_held.payment_id);
        return next;
    end loop;
end
$$;

revoke all on function fleet.held_store_facts(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.held_store_facts(bigint[]) is
    'The purchases of stores that are held for a missing product or rate and that no person has decided, each as the '
    'fact that is judged again.';
