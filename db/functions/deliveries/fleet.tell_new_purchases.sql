-- Definer: whoever records purchases may not write the outbox.
create or replace function fleet.tell_new_purchases()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    if (select s.app_told_since from fleet.settings as s) is null or to_regnamespace('upgrade') is not null then
        return null;
    end if;
    -- What is granted at once is told with its ledger entry.
    perform fleet.write_deliveries(
        array_agg('purchase.held'::text order by n.id),
        array_agg('purchase-held-' || n.id order by n.id),
        array_agg(
            fleet.purchase_data(
                n,
                n.coin_amount,
                (select pr.coin_balance from public.profiles as pr where pr.id = n.profile_id),
                null,
                n.hold_reason
            )
            order by n.id
        )
    )
    from new_purchases as n
    where n.decision is null and n.status = 'pending'
    having count(*) > 0;
    return null;
end
$$;

revoke all on function fleet.tell_new_purchases() from public, anon, authenticated, service_role;
comment on function fleet.tell_new_purchases() is
    'Tells the app, while it is told at all, of purchases that are held from the beginning.';

create or replace trigger new_purchases_are_told
after insert on public.coin_purchases
referencing new table as new_purchases
for each statement execute function fleet.tell_new_purchases();
