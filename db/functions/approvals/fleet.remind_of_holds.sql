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
    with due as (
        select
            e.id, cp.id as purchase_id, e.reason,
            e.received_at + s.hold_expires_days * interval '1 day' as expires_at
        from fleet.settings as s
        cross join fleet.inbox_events as e
        left join public.coin_purchases as cp
            on cp.provider = e.provider and cp.provider_event_id = e.provider_event_id
        left join fleet.payments as p on p.id = e.payment_id
        where e.state = 'held' and s.hold_expires_days is not null
            and e.received_at <= coalesce(p_now, now()) - s.hold_expires_days * interval '12 hours'
            and cp.decision is null and p.rejection is null
            and not exists (select 1 from fleet.hold_reminders as r where r.event_id = e.id)
        order by e.id
        limit p_limit
    ),
    reminded as (
        insert into fleet.hold_reminders (event_id, reminded_at)
        select d.id, coalesce(p_now, now())
        from due as d
        on conflict do nothing
        returning event_id
    )
    select d.id, d.purchase_id, d.reason, d.expires_at
    from due as d
    join reminded as r on r.event_id = d.id
    order by d.id
$$;

revoke all on function fleet.remind_of_holds(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.remind_of_holds(integer, timestamptz) is
    'Up to p_limit events that nobody has decided and that are held for half as long as the setting allows; each is '
    'returned once.';
