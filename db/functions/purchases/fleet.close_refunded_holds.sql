-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.close_refunded_holds(p_payment_ids bigint[], p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_undecided bigint[];
    v_without_purchase bigint[];
begin
    -- Most purchases are granted: for them this is one look-up.
    v_undecided := array(
        select of.purchase_id
        from fleet.purchases_of_payments(p_payment_ids) as of
        cross join lateral (
            select p.granted_at, p.decision, p.refund_requested
            from public.coin_purchases as p
            where p.id = of.purchase_id
            limit 1
        ) as cp
        where cp.granted_at is null and (cp.decision is null or cp.refund_requested)
    );
    if cardinality(v_undecided) > 0 then
        -- Nobody has to decide about money that was refunded; if its refund fails, somebody has to again.
        update fleet.inbox_events as e
        set (state, reason, processed_at) = (
            select
                case
                    when cp.status = 'pending' then 'held' when cp.refund_requested then 'rejected' else 'applied'
                end,
                case
                    when cp.status = 'pending' then cp.hold_reason
                    when cp.refund_requested then 'by_decision'
                    else 'refunded_while_held'
                end,
                p_now
        )
        from public.coin_purchases as cp
        where cp.id = any(v_undecided)
            and cp.granted_at is null
            and (cp.decision is null or cp.refund_requested)
            and e.provider = cp.provider
            and e.provider_event_id = cp.provider_event_id
            and case
                when cp.status = 'pending' then (e.state, e.reason) in (
                    ('applied', 'refunded_while_held'), ('rejected', 'by_decision')
                )
                else e.state = 'held'
            end;
    end if;

    -- The same for events that are held without a purchase, for example because the buyer is unknown, and for what
    -- waits with them.
    v_without_purchase := array(
        select p.id
        from fleet.payments as p
        where p.id = any(p_payment_ids) and p.held_event_id is not null
            and not exists (select 1 from fleet.purchases_of_payments(array[p.id]))
    );
    if cardinality(v_without_purchase) = 0 then
        return;
    end if;
    perform fleet.convert_disputes(v_without_purchase, p_now);
    update fleet.inbox_events as e
    set
        state = case when e.state = 'held' and p.rejection is not null then 'rejected' else 'applied' end,
        reason = case
            when e.state = 'held' and p.rejection is not null then 'by_decision'
            when e.state = 'held' then 'refunded_while_held'
        end,
        processed_at = p_now
    from fleet.reversed_amounts(v_without_purchase) as r
    join fleet.payments as p on p.id = r.payment_id
    where r.paid > 0
        and r.refunded + r.disputed >= r.paid
        and e.payment_id = r.payment_id
        and (e.state = 'held' or (e.state = 'waiting' and e.reason = 'no_purchase_yet'))
        and e.event_type <> 'charge.failed';
    update fleet.inbox_events as e
    set state = 'held', reason = p.held_reason, processed_at = p_now
    from fleet.reversed_amounts(v_without_purchase) as r
    join fleet.payments as p on p.id = r.payment_id
    where r.refunded + r.disputed < r.paid
        and e.id = p.held_event_id
        and (
            (e.state, e.reason) = ('applied', 'refunded_while_held')
            or (e.state, e.reason, p.rejection) = ('rejected', 'by_decision', 'refund')
        );
end
$$;

revoke all on function fleet.close_refunded_holds(bigint[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.close_refunded_holds(bigint[], timestamptz) is
    'Closes held events whose payment was refunded whole, those that a person rejected too, and holds them again if '
    'the refund failed. The caller has settled the payments.';
