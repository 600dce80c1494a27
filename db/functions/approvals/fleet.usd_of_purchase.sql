create or replace function fleet.usd_of_purchase(p_purchase public.coin_purchases, p_now timestamptz)
returns numeric
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select coalesce(
        p_purchase.usd_amount,
        fleet.usd_amount(p_purchase.amount_minor, p_purchase.currency, p_now),
        -- A store may not say what was paid, or in a currency without a rate: the price list counts.
        case
            when p_purchase.provider in ('apple', 'google') then (
                select k.list_usd
                from fleet.price_line_items(
                    p_purchase.provider, fleet.line_items_of_payment(p_purchase.payment_id)
                ) as k
            )
        end
    )
$$;

revoke all on function fleet.usd_of_purchase(public.coin_purchases, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.usd_of_purchase(public.coin_purchases, timestamptz) is
    'What a purchase is worth in US dollars, as it was judged or as it would be now; null if nothing says so.';
