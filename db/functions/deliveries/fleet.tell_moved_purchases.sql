-- Definer: whoever decides may write purchases, not the outbox.
-- Nothing is known of the sizes of the two tables: a hash join is right for one row and for many.
create or replace function fleet.tell_moved_purchases()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_nestloop = off
as $$
declare
    v_told record;
begin
    if (select s.app_told_since from fleet.settings as s) is null or to_regnamespace('upgrade') is not null then
        return null;
    end if;
    -- What is granted now, or taken back, is told with its ledger entry. A purchase may be held again after its refund
    -- has failed: hence the transaction's number in the key.
    select
        array_agg('purchase.' || m.is_now order by m.id) as types,
        array_agg('purchase-' || m.is_now || '-' || m.id || '-' || pg_current_xact_id() order by m.id) as keys,
        array_agg(m.data order by m.id) as data,
        array_agg(m.id) filter (where m.is_now = 'rejected') as rejected_ids
    into v_told
    from (
        -- Purchases of which nothing is granted, and that were something else before.
        select
            n.id,
            s.is_now,
            fleet.purchase_data(
                n,
                n.coin_amount,
                (select pr.coin_balance from public.profiles as pr where pr.id = n.profile_id),
                null,
                case
                    when s.is_now = 'held' then n.hold_reason
                    when n.decision = 'rejected' then 'by_decision'
                    else 'refunded_while_held'
                end
            ) as data
        from new_purchases as n
        join old_purchases as o on o.id = n.id
        cross join lateral (
            select
                case when n.decision = 'rejected' or n.status <> 'pending' then 'rejected' else 'held' end as is_now,
                case
                    when o.granted_at is not null then 'granted'
                    when o.decision = 'rejected' or o.status <> 'pending' then 'rejected'
                    else 'held'
                end as was
        ) as s
        where n.granted_at is null and s.is_now <> s.was
    ) as m;
    if v_told.keys is not null then
        perform fleet.drop_untold_holds(v_told.rejected_ids);
        perform fleet.write_deliveries(v_told.types, v_told.keys, v_told.data);
    end if;
    return null;
end
$$;

revoke all on function fleet.tell_moved_purchases() from public, anon, authenticated, service_role;
comment on function fleet.tell_moved_purchases() is
    'Tells the app, while it is told at all, of purchases that are rejected, by a person or because their money went '
    'back while they were held, and of those that are held again.';

create or replace trigger moved_purchases_are_told
after update on public.coin_purchases
referencing old table as old_purchases new table as new_purchases
for each statement execute function fleet.tell_moved_purchases();
