-- Definer: the worker has no right to the inbox itself. A plan that was made for few rows is kept; without sequential
-- scans it is right for many rows too.
create or replace function fleet.remind_of_holds(p_limit integer, p_now timestamptz default null)
returns table (event_id bigint, purchase_id bigint, reason text, expires_at timestamptz)
language sql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    with rules as (
        select
            s.hold_expires_days * interval '1 day' as lasts,
            coalesce(p_now, now()) - s.hold_expires_days * interval '12 hours' as half
        from fleet.settings as s
        where s.hold_expires_days is not null
    ),
    due as (
        (
            select e.id as event_id, cp.id as purchase_id, e.reason, e.received_at + r.lasts as expires_at
            from rules as r
            cross join fleet.inbox_events as e
            left join public.coin_purchases as cp
                on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
            left join fleet.payments as p on p.id = e.payment_id
            where e.state = 'held' and e.received_at <= r.half
                and cp.decision is null and p.rejection is null
                and not exists (select 1 from fleet.hold_reminders as o where o.event_id = e.id)
            order by e.id
            limit p_limit
        )
        union all
        -- What a direct call left to a person.
        (
            select null, cp.id, cp.hold_reason, cp.created_at + r.lasts
            from rules as r
            cross join public.coin_purchases as cp
            where cp.granted_at is null and cp.status = 'pending' and cp.decision is null
                and cp.created_at <= r.half
                and not exists (
                    select 1
                    from fleet.inbox_events as e
                    where e.provider_event_id = cp.provider_event_id and e.provider = cp.provider and e.state = 'held'
                )
                and not exists (select 1 from fleet.purchase_reminders as o where o.purchase_id = cp.id)
            order by cp.id
            limit p_limit
        )
        limit p_limit
    ),
    reminded as (
        insert into fleet.hold_reminders (event_id, reminded_at)
        select d.event_id, coalesce(p_now, now())
        from due as d
        where d.event_id is not null
        on conflict do nothing
        returning event_id
    ),
    reminded_purchases as (
        insert into fleet.purchase_reminders (purchase_id, reminded_at)
        select d.purchase_id, coalesce(p_now, now())
        from due as d
        where d.event_id is null
        on conflict do nothing
        returning purchase_id
    )
    select d.event_id, d.purchase_id, d.reason, d.expires_at
    from due as d
    where d.event_id in (select o.event_id from reminded as o)
        or (d.event_id is null and d.purchase_id in (select o.purchase_id from reminded_purchases as o))
    order by d.expires_at, d.event_id, d.purchase_id
$$;

revoke all on function fleet.remind_of_holds(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.remind_of_holds(integer, timestamptz) is
    'Up to p_limit payments that nobody has decided and that are held for half as long as the setting allows; each is '
    'returned once. event_id is null if a direct call recorded it.';
