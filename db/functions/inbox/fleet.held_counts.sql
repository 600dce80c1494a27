-- Definer: the process roles have no right to the inbox itself.
create or replace function fleet.held_counts()
returns table (reason text, events bigint, worth_usd numeric, oldest_id bigint, oldest_at timestamptz)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        h.reason,
        count(*),
        sum(h.usd_amount) filter (where h.nth = 1),
        (array_agg(h.id order by h.since, h.id))[1],
        min(h.since)
    from (
        select
            e.id,
            e.reason,
            cp.usd_amount,
            -- The clock may have been set back between the two times; an event never gets younger.
            least(e.received_at, e.processed_at) as since,
            row_number() over (partition by coalesce(cp.id, -e.id) order by e.id) as nth
        from fleet.inbox_events as e
        -- Each by its key: a plan for many would read the tables whole.
        left join lateral (
            select c.* from public.coin_purchases as c where c.payment_id = e.payment_id limit 1
        ) as cp on true
        left join lateral (select q.rejection from fleet.payments as q where q.id = e.payment_id limit 1) as p on true
        -- An event that a person rejected waits for its refund, not for a person.
        where e.state = 'held' and cp.decision is distinct from 'rejected' and p.rejection is null
    ) as h
    group by h.reason
    order by min(h.since), h.reason
$$;

revoke all on function fleet.held_counts() from public, anon, authenticated, service_role;
comment on function fleet.held_counts() is
    'Events that wait for a person''s decision, by reason, the longest held first: how many, what their purchases are '
    'worth in US dollars where that is known, and which is the oldest. The cost grows with what is held.';
