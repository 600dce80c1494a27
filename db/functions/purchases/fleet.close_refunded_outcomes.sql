-- Volatile, so that it sees what the caller's transaction has written by then.
create or replace function fleet.close_refunded_outcomes(p_outcomes fleet.outcome[])
returns fleet.outcome[]
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_given_back bigint[];
    v_closed bigint[];
    v_rejected bigint[];
    v_rejected_purchases bigint[];
begin
    if not exists (select 1 from unnest(p_outcomes) as o where o.state = 'held') then
        return p_outcomes;
    end if;
    v_given_back := array(
        select r.payment_id
        from fleet.reversed_amounts(
            array(
                select distinct o.payment_id
                from unnest(p_outcomes) as o
                where o.state = 'held' and o.purchase_id is null and o.payment_id is not null
            )
        ) as r
        where r.purchase_id is null and r.paid > 0 and r.refunded + r.disputed >= r.paid
    );
    v_closed := array(
        select cp.id
        from public.coin_purchases as cp
        where cp.id = any(array(select o.purchase_id from unnest(p_outcomes) as o where o.state = 'held'))
            and cp.granted_at is null and (cp.decision is null or cp.refund_requested) and cp.status <> 'pending'
    );
    v_rejected := array(
        select p.id from fleet.payments as p where p.id = any(v_given_back) and p.rejection is not null
    );
    v_rejected_purchases := array(
        select cp.id from public.coin_purchases as cp where cp.id = any(v_closed) and cp.decision = 'rejected'
    );
    for v_i in 1 .. cardinality(p_outcomes) loop
        if p_outcomes[v_i].state = 'held' and (
            p_outcomes[v_i].purchase_id = any(v_closed)
            or (p_outcomes[v_i].purchase_id is null and p_outcomes[v_i].payment_id = any(v_given_back))
        ) then
            if p_outcomes[v_i].purchase_id = any(v_rejected_purchases)
                or (p_outcomes[v_i].purchase_id is null and p_outcomes[v_i].payment_id = any(v_rejected))
            then
                p_outcomes[v_i].state := 'rejected';
                p_outcomes[v_i].reason := 'by_decision';
            else
                p_outcomes[v_i].state := 'applied';
                p_outcomes[v_i].reason := 'refunded_while_held';
            end if;
        end if;
    end loop;
    return p_outcomes;
end
$$;

revoke all on function fleet.close_refunded_outcomes(fleet.outcome[]) from public, anon, authenticated, service_role;
comment on function fleet.close_refunded_outcomes(fleet.outcome[]) is
    'Closes the events that a batch would hold although their payment was refunded whole, in the same batch or before.';
