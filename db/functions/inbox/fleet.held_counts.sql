-- Definer: the process roles have no right to the inbox itself.
create or replace function fleet.held_counts()
returns table (reason text, events bigint, worth_usd numeric, oldest_id bigint, oldest_at timestamptz)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select h.reason, count(*), sum(h.usd_amount), (array_agg(h.id order by h.since, h.id))[1], min(h.since)
    from (
        select
            e.id,
            e.reason,
            cp.usd_amount,
            -- The clock may have been set back between the two times; an event never gets younger.
            least(e.received_at, e.processed_at) as since
        from fleet.inbox_events as e
        -- The event's own purchase: its payment may have another. Each by its key: a plan for many would read the
        -- tables whole.
        left join lateral (
            select c.usd_amount, c.decision
            from public.coin_purchases as c
            where c.provider_event_id = e.provider_event_id and c.provider = e.provider
            limit 1
        ) as cp on true
        left join lateral (select q.rejection from fleet.payments as q where q.id = e.payment_id limit 1) as p on true
        -- An event that a person rejected waits for its refund, not for a person.
        where e.state = 'held' and cp.decision is distinct from 'rejected' and p.rejection is null
        union all
        -- What a direct call recorded has no event that is held.
        select null, cp.hold_reason, cp.usd_amount, cp.created_at
        from public.coin_purchases as cp
        where cp.granted_at is null and cp.status = 'pending' and cp.decision is null
            and not exists (
                select 1
                from fleet.inbox_events as e
                where e.provider_event_id = cp.provider_event_id and e.provider = cp.provider and e.state = 'held'
            )
    ) as h
    group by h.reason
    order by min(h.since), h.reason
$$;

revoke all on function fleet.held_counts() from public, anon, authenticated, service_role;
comment on function fleet.held_counts() is
    'Payments that wait for a person''s decision, by reason, the longest held first: how many, what they are worth in '
    'US dollars where that is known, since when, and the event of the oldest, null if a direct call recorded it. The '
    'cost grows with what is held.';
