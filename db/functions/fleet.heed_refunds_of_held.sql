-- Volatile, so that it sees what the caller's statement has written by then.
create or replace function fleet.heed_refunds_of_held(p_outcomes fleet.outcome[])
returns fleet.outcome[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_refunded bigint[];
begin
    if not exists (select 1 from unnest(p_outcomes) as o where o.state = 'held') then
        return p_outcomes;
    end if;
    v_refunded := array(
        select r.payment_id
        from fleet.reversed_amounts(
            array(select distinct o.payment_id from unnest(p_outcomes) as o where o.state = 'held')
        ) as r
        left join public.coin_purchases as cp on cp.id = r.purchase_id
        where case
            when cp.id is null then r.paid > 0 and r.refunded + r.disputed >= r.paid
            else cp.granted_at is null and cp.decision is null and cp.status <> 'pending'
        end
    );
    for v_i in 1 .. cardinality(p_outcomes) loop
        if p_outcomes[v_i].state = 'held' and p_outcomes[v_i].payment_id = any(v_refunded) then
            p_outcomes[v_i].state := 'applied';
            p_outcomes[v_i].reason := 'refunded_while_held';
        end if;
    end loop;
    return p_outcomes;
end
$$;

revoke all on function fleet.heed_refunds_of_held(fleet.outcome[]) from public, anon, authenticated, service_role;
comment on function fleet.heed_refunds_of_held(fleet.outcome[]) is 'Closes what a batch would hold though its payment was given back whole, in the same batch or before.';
