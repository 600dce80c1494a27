create or replace function fleet.apply_verdicts(p_facts fleet.fact[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_named bigint[];
    v_told fleet.fact[];
    v_held bigint[];
begin
    -- The event of a purchase that waits for a person may be read otherwise than when it was held. It stays held with
    -- its purchase, and what it told then counts.
    v_held := array(
        select f.event_id
        from unnest(p_facts) as f
        where f.kind in ('verdict', 'names') and f.state is distinct from 'failed'
            -- A subquery per event: a join might read all purchases at each batch.
            and (
                select cp.granted_at is null and cp.hold_reason is not null and cp.status = 'pending'
                    and (cp.decision is null or cp.refund_requested)
                from public.coin_purchases as cp
                where cp.provider_event_id = f.provider_event_id and cp.provider = f.provider
                limit 1
            )
    );
    insert into fleet.payments as p (id, is_foreign)
    select distinct f.payment_id, true
    from unnest(p_facts) as f
    left join public.coin_purchases as cp on cp.payment_id = f.payment_id
    where f.kind = 'verdict' and f.payment_id is not null and cp.id is null
        -- An event without our metadata does not make a payment foreign of which another event has them.
        and not exists (
            select 1
            from fleet.payment_halves as h
            where h.payment_id = f.payment_id and (h.profile_id is not null or h.buyer_unreadable or h.sku is not null)
        )
    on conflict (id) do update set is_foreign = true where not p.is_foreign;

    v_told := array(
        select f
        from unnest(p_facts) as f
        where f.kind in ('verdict', 'names') and f.payment_id is not null and f.half is not null
            and f.event_id <> all(v_held)
            and (select cp.granted_at from public.coin_purchases as cp where cp.payment_id = f.payment_id limit 1)
                is null
    );
    if cardinality(v_told) > 0 then
        perform fleet.store_halves(v_told);
        perform fleet.amend_purchases(array(select f.payment_id from unnest(v_told) as f), p_now);
        -- What waits, or is held without a purchase, is judged again by the next worker that claims it.
        update fleet.inbox_events as e
        set state = 'pending', attempts = 0, next_attempt_at = p_now
        from unnest(v_told) as f
        where e.payment_id = f.payment_id and e.state in ('waiting', 'held')
            and e.reason in ('no_session_yet', 'incomplete_metadata', 'unknown_buyer', 'unknown_product')
            and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = f.payment_id);
        perform fleet.reconsider_payments(v_told, p_now);
    end if;
    -- Each of these events may have joined names of a payment: what waited under one of them is closed or settled
    -- with the others.
    v_named := array(
        select f.payment_id from unnest(p_facts) as f where f.kind in ('verdict', 'names') and f.payment_id is not null
    );
    if cardinality(v_named) > 0 then
        perform fleet.store_payment_totals(array(select f from unnest(p_facts) as f where f.kind = 'verdict'));
        perform fleet.close_refunded_holds(v_named, p_now);
        update fleet.inbox_events as e
        set state = 'ignored', reason = 'not_ours', processed_at = p_now
        from fleet.payments as p
        where e.payment_id = any(v_named) and e.state = 'waiting' and e.reason = 'no_purchase_yet'
            and p.id = e.payment_id and p.is_foreign;
        perform fleet.settle_purchased_payments(
            array(select cp.payment_id from public.coin_purchases as cp where cp.payment_id = any(v_named)),
            p_now
        );
    end if;
    return query
    select
        f.event_id,
        case when own.hold_reason is not null then 'held' when f.kind = 'names' then 'ignored' else f.state end,
        coalesce(own.hold_reason, f.reason, 'names_only'),
        f.payment_id, null::bigint, null::bigint, false, null::timestamptz,
        case
            -- For the person who decides.
            when own.hold_reason is not null then concat_ws(': ', f.reason, f.detail)
            when f.state = 'failed' then f.reason
            else f.detail
        end
    from unnest(p_facts) as f
    left join lateral (
        select cp.hold_reason
        from public.coin_purchases as cp
        where f.event_id = any(v_held) and cp.provider_event_id = f.provider_event_id
        limit 1
    ) as own on true
    where f.kind in ('verdict', 'names');
end
$$;

revoke all on function fleet.apply_verdicts(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_verdicts(fleet.fact[], timestamptz) is
    'Records the outcome that interpretation gave to events that move nothing. A payment that is not ours is '
    'remembered, so that its reversals are ignored too; an event that only names a payment marks nothing. The event '
    'of a purchase that waits for a person stays held.';
