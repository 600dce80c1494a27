-- Definer: the worker's functions write the inbox; nobody else may write the outbox.
-- Nothing is known of the sizes of the two tables: a hash join is right for one row and for many.
create or replace function fleet.tell_events()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_nestloop = off
as $$
begin
    if (select s.app_told_since from fleet.settings as s) is null then
        return null;
    end if;
    if not exists (
        select
        from new_events as n
        where n.state = 'held' or n.reason in ('by_decision', 'malformed', 'refunded_while_held')
    ) then
        return null;
    end if;
    perform fleet.write_deliveries(
        array_agg(t.type order by t.id), array_agg(t.key order by t.id), array_agg(t.data order by t.id)
    )
    from (
        -- A gift that could not be read.
        select
            n.id,
            'gift.rejected' as type,
            'gift-rejected-' || n.id as key,
            jsonb_build_object(
                'event_id', n.provider_event_id, 'profile_id', null, 'coins', null, 'coin_balance', null, 'seq', null,
                'reason', n.reason
            ) as data
        from new_events as n
        where n.provider = 'app' and n.event_type = 'gift.sent' and n.state = 'rejected' and n.reason = 'malformed'
        union all
        -- A payment that is held or rejected and has no purchase, as for want of a buyer.
        select
            n.id,
            k.type,
            replace(k.type, '.', '-') || coalesce('-payment-' || n.payment_id, '-event-' || n.id)
            -- One that is held again after its money had gone back is told again.
            || case
                when n.reason = 'refunded_while_held' or n.state = 'held' and o.state in ('applied', 'rejected')
                    then '-' || pg_current_xact_id()
                else ''
            end,
            fleet.unbought_data(n.provider, n.provider_event_id, n.payment_id, n.reason)
        from new_events as n
        join old_events as o on o.id = n.id
        cross join lateral (
            select case
                -- A rejected one that waits for another refund is rejected still.
                when n.state = 'held' then
                    case
                        when (select p.rejection from fleet.payments as p where p.id = n.payment_id) is null
                            then 'purchase.held'
                    end
                when n.reason in ('by_decision', 'refunded_while_held') then 'purchase.rejected'
            end as type
        ) as k
        where k.type is not null and (o.state, o.reason) is distinct from (n.state, n.reason)
            and coalesce(
                (select c.id from public.coin_purchases as c where c.payment_id = n.payment_id limit 1),
                (select j.purchase_id from fleet.joined_purchases as j where j.payment_id = n.payment_id limit 1)
            ) is null
    ) as t
    having count(*) > 0;
    return null;
end
$$;

revoke all on function fleet.tell_events() from public, anon, authenticated, service_role;
comment on function fleet.tell_events() is
    'Tells the app, while it is told at all, of payments that are held or rejected and have no purchase yet, and of '
    'gifts that could not be read.';

create or replace trigger moved_events_are_told
after update on fleet.inbox_events
referencing old table as old_events new table as new_events
for each statement execute function fleet.tell_events();
