create or replace function fleet.note_held_payments(p_decisions fleet.purchase_decision[], p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_without_purchase bigint[];
begin
    if not exists (select 1 from unnest(p_decisions) as d where d.purchase_id is null) then
        return;
    end if;
    insert into fleet.payments as p (id, held_minor, held_currency, held_event_id, held_reason)
    select distinct on (d.payment_id) d.payment_id, d.amount_minor, d.currency, d.event_id, d.reason
    from unnest(p_decisions) as d
    where d.state = 'held' and d.purchase_id is null and d.event_id is not null
    order by d.payment_id, d.amount_minor desc nulls last, d.event_id
    on conflict (id) do update
    set (held_minor, held_currency, held_event_id, held_reason) = (
        select n.held_minor, n.held_currency, n.held_event_id, n.held_reason
        from fleet.newer_payment(p, excluded) as n
    );
    -- Also for events that still wait: their event may have shown that a refund under another name belongs to this
    -- payment.
    v_without_purchase := array(select distinct d.payment_id from unnest(p_decisions) as d where d.purchase_id is null);
    perform fleet.close_refunded_holds(v_without_purchase, p_now);
    -- A payment of which one event has our metadata is ours, whatever its other events lack.
    update fleet.payments as p set is_foreign = false where p.id = any(v_without_purchase) and p.is_foreign;
end
$$;

revoke all on function fleet.note_held_payments(fleet.purchase_decision[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.note_held_payments(fleet.purchase_decision[], timestamptz) is
    'Records what was paid by events that are held without a purchase, so that they are closed when it is refunded.';
