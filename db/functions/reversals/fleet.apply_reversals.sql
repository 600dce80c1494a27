create or replace function fleet.apply_reversals(p_facts fleet.fact[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_payment_ids bigint[];
    v_kinds text[];
    v_lacks_times boolean;
    v_refunded bigint[] := '{}';
    v_unconverted bigint[] := '{}';
    v_disputed bigint[];
    v_held bigint[];
begin
    select
        array_agg(distinct f.payment_id), array_agg(distinct f.kind),
        bool_or(f.told_at is null and f.provider = 'stripe' and f.kind in ('refund', 'refund_total', 'dispute'))
    into v_payment_ids, v_kinds, v_lacks_times
    from unnest(p_facts) as f
    where f.kind in ('refund', 'refund_total', 'dispute', 'charge_failed', 'freeze', 'store_snapshot', 'store_void');
    if v_payment_ids is null then
        return;
    end if;
    perform fleet.store_reversals(case when v_lacks_times then fleet.add_times(p_facts) else p_facts end);
    if v_kinds && '{store_snapshot,store_void}' then
        perform fleet.keep_store_facts(
            array(select f from unnest(p_facts) as f where f.kind in ('store_snapshot', 'store_void'))
        );
    end if;
    perform fleet.settle_purchased_payments(
        array(
            select cp.payment_id from public.coin_purchases as cp where cp.payment_id = any(v_payment_ids)
            union
            select j.payment_id from fleet.joined_purchases as j where j.payment_id = any(v_payment_ids)
        ),
        p_now
    );
    -- A payment that has no purchase yet was not settled.
    perform fleet.settle_freezes(v_payment_ids, p_now);
    -- Few payments are held without a purchase, and few events are disputes: all others cost nothing here.
    v_held := array(
        select p.id from fleet.payments as p where p.id = any(v_payment_ids) and p.held_event_id is not null
    );
    if cardinality(v_held) > 0 then
        perform fleet.close_refunded_holds(v_held, p_now);
        v_refunded := array(
            select r.payment_id
            from fleet.reversed_amounts(v_held) as r
            where r.purchase_id is null and r.paid > 0 and r.refunded + r.disputed >= r.paid
        );
    end if;
    if 'dispute' = any(v_kinds) then
        v_disputed := array(select distinct f.payment_id from unnest(p_facts) as f where f.kind = 'dispute');
        v_unconverted := array(select fleet.unconverted_disputes(v_disputed));
    end if;
    perform fleet.ignore_foreign_reversals(v_payment_ids, p_now);
    return query
    select
        f.event_id,
        v.state,
        case
            when v.state = 'applied' then
                case when f.kind = 'dispute' and f.payment_id = any(v_unconverted) then 'no_fx_rate' end
            when v.state = 'ignored' and p.is_foreign then 'not_ours'
            when v.state = 'ignored' and w.is_sandbox then 'sandbox'
            when v.state = 'waiting' then 'no_purchase_yet'
            when f.kind = 'charge_failed' then 'charge_failed'
            else 'no_purchase'
        end,
        f.payment_id,
        coalesce(cp.id, j.purchase_id),
        null::bigint,
        false,
        case v.state when 'waiting' then greatest(f.received_at + interval '35 days', p_now + interval '1 hour') end,
        null::text
    from unnest(p_facts) as f
    cross join fleet.settings as s
    left join public.coin_purchases as cp on cp.payment_id = f.payment_id
    left join lateral (
        select n.purchase_id from fleet.joined_purchases as n where n.payment_id = f.payment_id limit 1
    ) as j on true
    left join fleet.payments as p on p.id = f.payment_id
    cross join lateral (
        -- A reversal may not say what its purchase said.
        select coalesce(f.is_sandbox, false)
            or exists (select 1 from fleet.store_payments as t where t.payment_id = f.payment_id and t.is_sandbox)
            as is_sandbox
    ) as w
    left join fleet.inbox_events as held on held.id = p.held_event_id
        -- A pending event is one that this batch decides, and will hold.
        and held.state in ('held', 'pending', 'waiting')
    cross join lateral (
        select case
            when cp.id is not null or j.purchase_id is not null then
                case when f.kind = 'charge_failed' then 'rejected' else 'applied' end
            when f.kind <> 'charge_failed' and (f.payment_id = any(v_refunded) or p.rejection = 'no_refund')
                then 'applied'
            when p.is_foreign then 'ignored'
            -- What cost nothing grants nothing. It is kept all the same, in case its buyer may have it.
            when w.is_sandbox and s.store_sandbox = 'ignore' then 'ignored'
            -- What a person has to decide has no purchase yet, however long the decision takes.
            when f.received_at > p_now - interval '35 days' or held.id is not null then 'waiting'
            when f.kind in ('charge_failed', 'freeze') then 'ignored'
            else 'rejected'
        end as state
    ) as v
    where f.kind in ('refund', 'refund_total', 'dispute', 'charge_failed', 'freeze', 'store_snapshot', 'store_void');
end
$$;

revoke all on function fleet.apply_reversals(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_reversals(fleet.fact[], timestamptz) is
    'Stores what refund and dispute events tell, then settles their payments. One outcome per reversal fact, and per '
    'freeze, which fleet.apply_facts has stored.';
