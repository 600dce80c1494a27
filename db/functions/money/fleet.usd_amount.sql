create or replace function fleet.usd_amount(p_amount_minor numeric, p_currency text, p_at timestamptz)
returns numeric
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- At most what coin_purchases.usd_amount holds, which is above every limit. `least` would ignore a null.
    select case when u.usd < 9999999999.99 then u.usd when u.usd is not null then 9999999999.99 end
    from (select round(p_amount_minor * fleet.usd_per_minor_unit(p_currency, p_at), 2) as usd) as u
$$;

revoke all on function fleet.usd_amount(numeric, text, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.usd_amount(numeric, text, timestamptz) is
    'An amount in minor units of a currency as US dollars, to the cent; null without a rate.';
