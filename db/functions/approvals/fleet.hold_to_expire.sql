-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.hold_to_expire(p_before timestamptz)
returns table (purchase_id bigint, event_id bigint)
language sql
stable
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- What we can't have refunded waits for a person however long: Apple's purchases, for one.
    (
        select cp.id, null::bigint
        from public.coin_purchases as cp
        left join fleet.joined_purchases as j on j.purchase_id = cp.id
        where cp.granted_at is null and cp.status = 'pending' and (cp.decision is null or cp.refund_requested)
            and cp.decision is null and cp.created_at <= p_before
            and (
                (cp.amount_minor = 0 and cp.provider <> 'apple')
                or fleet.refund_request(cp.provider, coalesce(j.payment_id, cp.payment_id)) is not null
                and not fleet.is_granted_otherwise(cp.id)
            )
        order by cp.id
        limit 1
    )
    union all
    (
        select null::bigint, e.id
        from fleet.inbox_events as e
        join fleet.payments as p on p.id = e.payment_id
        where e.state = 'held' and e.received_at <= p_before and e.reason <> 'id_conflict'
            and p.rejection is null
            and ((p.held_minor = 0 and e.provider <> 'apple') or fleet.refund_request(e.provider, p.id) is not null)
            and not exists (
                select 1
                from public.coin_purchases as cp
                where cp.provider_event_id = e.provider_event_id and cp.provider = e.provider
            )
        order by e.id
        limit 1
    )
    limit 1
$$;

revoke all on function fleet.hold_to_expire(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.hold_to_expire(timestamptz) is
    'A purchase, or an event without one, that is held since before that time, that nobody has decided, and that can '
    'be refunded. Costs as much as is held.';
