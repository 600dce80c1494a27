-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.complete_store_facts(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_one record;
begin
    for v_one in
        select
            f.ordinality as no, s.payment_id is not null as is_kept, s.buyer_id, s.buyer_unreadable, s.is_sandbox,
            fleet.line_items_of_payment(f.payment_id) as line_items,
            coalesce(f.submitted_by <> coalesce(s.buyer_id, f.profile_id, cp.profile_id), false)
            -- Of this event a person has said whose payment it tells of.
            and not exists (select 1 from fleet.decisions as d where d.event_id = f.event_id and d.verb = 'attribute')
            as is_of_another
        from unnest(p_facts) with ordinality as f
        -- A subquery per fact: the plan of a join that was made for few rows would read all of them at each batch.
        left join lateral (
            select k.* from fleet.store_payments as k where k.payment_id = f.payment_id limit 1
        ) as s on true
        left join lateral (
            select p.profile_id from public.coin_purchases as p where p.payment_id = f.payment_id limit 1
        ) as cp on true
        where f.kind = 'store_purchase'
    loop
        if v_one.is_of_another then
            p_facts[v_one.no].hold_reason := 'not_the_buyer';
        elsif v_one.is_kept then
            p_facts[v_one.no].profile_id := v_one.buyer_id;
            p_facts[v_one.no].buyer_unreadable := v_one.buyer_unreadable and v_one.buyer_id is null;
            p_facts[v_one.no].is_sandbox := v_one.is_sandbox;
            p_facts[v_one.no].line_items := coalesce(v_one.line_items, p_facts[v_one.no].line_items);
        end if;
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.complete_store_facts(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.complete_store_facts(fleet.fact[]) is
    'Sets in each store''s purchase what all events of its payment say together: the buyer, the products, whether it '
    'cost nothing. One that a client submitted and that is somebody else''s has hold_reason not_the_buyer.';
