-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.settle_purchased_payments(p_payment_ids bigint[], p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    v_met bigint[];
    v_disputed bigint[];
begin
    v_met := array(
        select p.id from fleet.payments as p where p.id = any(p_payment_ids)
        union
        select r.payment_id from fleet.refunds as r where r.payment_id = any(p_payment_ids)
        union
        select d.payment_id from fleet.disputes as d where d.payment_id = any(p_payment_ids)
        union
        select s.payment_id from fleet.store_payments as s where s.payment_id = any(p_payment_ids)
    );
    if cardinality(v_met) > 0 then
        update fleet.payments set is_foreign = false where id = any(v_met) and is_foreign;
        v_disputed := array(select d.payment_id from fleet.disputes as d where d.payment_id = any(v_met));
        if cardinality(v_disputed) > 0 then
            perform fleet.convert_disputes(v_disputed, p_now);
        end if;
        perform fleet.settle_reversals(v_met);
        perform fleet.close_refunded_holds(v_met, p_now);
    end if;
    perform fleet.settle_freezes(p_payment_ids, p_now);
    -- Nothing waits for most payments, and an update that moves nothing has its triggers run all the same.
    if not exists (
        select
        from fleet.inbox_events as e
        where e.payment_id = any(p_payment_ids) and e.state in ('waiting', 'held')
    ) then
        return;
    end if;
    update fleet.inbox_events as e
    set (state, reason, next_attempt_at, processed_at) = (
        select
            case when a.is_alarm then 'pending' else 'applied' end,
            case when a.is_alarm then e.reason when e.reason <> 'no_purchase_yet' then 'duplicate_payment' end,
            case when a.is_alarm then p_now else e.next_attempt_at end,
            case when not a.is_alarm then p_now end
        -- An event that must raise an alarm once its payment has a purchase is judged again, so that the alarm is
        -- raised.
        from (
            select e.reason = 'no_purchase_yet' and (
                e.event_type = 'charge.failed'
                or e.event_type like 'charge.dispute.%'
                and exists (select 1 from fleet.unconverted_disputes(array[e.payment_id]))
            ) as is_alarm
        ) as a
    )
    where e.payment_id = any(p_payment_ids) and e.state in ('waiting', 'held')
        -- A clash of ids is left to a person, until the payment has a purchase of its own.
        and (
            e.reason <> 'id_conflict'
            or exists (select 1 from public.coin_purchases as cp where cp.payment_id = e.payment_id)
        )
        -- The event of a held purchase itself waits for a person.
        and not exists (
            select 1
            from public.coin_purchases as cp
            where cp.provider_event_id = e.provider_event_id and cp.provider = e.provider and cp.granted_at is null
        );
end
$$;

revoke all on function fleet.settle_purchased_payments(bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.settle_purchased_payments(bigint[], timestamptz) is
    'For payments that have a purchase: settles the refunds, disputes and freezes that are known, and closes the '
    'events that waited for the purchase or were held because it was missing.';
