create or replace function fleet.usd_per_minor_unit(p_currency text, p_at timestamptz)
returns numeric
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select case
        when p_currency = 'usd' then 0.01
        else (
            select r.usd_per_unit * power(10::numeric, -fleet.minor_unit_exponent(p_currency))
            from public.fx_rates as r
            where r.currency = p_currency and r.as_of between p_at - interval '7 days' and p_at
            order by r.as_of desc
            limit 1
        )
    end
$$;

revoke all on function fleet.usd_per_minor_unit(text, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.usd_per_minor_unit(text, timestamptz) is
    'US dollars per minor unit of a currency, by its newest rate of at most 7 days at that time; null without such a '
    'rate.';
