-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.amounts_paid(p_payment_ids bigint[])
returns table (payment_id bigint, purchase_id bigint, is_taken_back boolean, amount bigint, currency text)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- Two grants of one payment are settled by the amount that the provider told, and so is a purchase that a direct
    -- call recorded: its caller tells dollars, whatever was charged, and perhaps without tax.
    select
        of.payment_id, of.purchase_id, of.is_taken_back,
        case w.source when 'charge' then p.charge_minor when 'event' then p.total_minor else t.amount_minor end,
        case w.source when 'charge' then p.charge_currency when 'event' then p.total_currency else t.currency end
    from fleet.purchases_of_payments(p_payment_ids) as of
    -- Look-ups: the plan of a join that was made for few rows would read all of them each time.
    cross join lateral (
        select o.amount_minor, o.currency, o.sku, o.granted_at
        from public.coin_purchases as o
        where o.id = of.purchase_id
        limit 1
    ) as cp
    -- Of two direct calls the granted one says what was paid, also if a person granted it after they were joined.
    left join lateral (
        select k.id, k.amount_minor, k.currency, k.sku
        from public.coin_purchases as k
        where k.payment_id = of.payment_id
            and (k.sku is not null or k.granted_at is not null or cp.granted_at is null)
        limit 1
    ) as kept on true
    left join fleet.payments as p on p.id = of.payment_id
    cross join lateral (
        select
            case when kept.id is null then cp.amount_minor else kept.amount_minor end as amount_minor,
            case when kept.id is null then cp.currency else kept.currency end as currency,
            case when kept.id is null then cp.sku else kept.sku end is null as is_direct
    ) as t
    cross join lateral (
        select case
            when p.charge_currency <> t.currency or (t.is_direct and p.charge_minor > 0) then 'charge'
            when t.is_direct and p.total_minor is not null then 'event'
        end as source
    ) as w
    union all
    select p.id, null, false, p.held_minor, p.held_currency
    from fleet.payments as p
    where p.id = any(p_payment_ids) and p.held_minor is not null
        and not exists (select 1 from fleet.purchases_of_payments(array[p.id]))
$$;

revoke all on function fleet.amounts_paid(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.amounts_paid(bigint[]) is
    'What was paid for each purchase of these payments, and what was paid by payments that are held without a '
    'purchase, whose purchase_id is null.';
