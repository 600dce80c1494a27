create or replace function fleet.newest_rates(p_now timestamptz default null)
returns table (currency text, usd_per_unit numeric, as_of timestamptz, counts boolean)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- From each currency straight to the next one, so that the cost does not grow with old rates.
    with recursive currencies as (
        (select r.currency from public.fx_rates as r order by r.currency limit 1)
        union all
        select (
            select r.currency from public.fx_rates as r where r.currency > c.currency order by r.currency limit 1
        )
        from currencies as c
        where c.currency is not null
    )
    select n.currency, n.usd_per_unit, n.as_of, fleet.usd_per_minor_unit(n.currency, t.now) is not null
    from (select coalesce(p_now, clock_timestamp()) as now) as t
    cross join currencies as c
    cross join lateral (
        select k.currency, k.usd_per_unit, k.as_of
        from (
            (
                select r.currency, r.usd_per_unit, r.as_of, 1 as no
                from public.fx_rates as r
                where r.currency = c.currency and r.as_of <= t.now
                order by r.as_of desc
                limit 1
            )
            union all
            -- What a clock that was ahead dated does not count yet.
            (
                select r.currency, r.usd_per_unit, r.as_of, 2
                from public.fx_rates as r
                where r.currency = c.currency and r.as_of > t.now
                order by r.as_of
                limit 1
            )
        ) as k
        order by k.no
        limit 1
    ) as n
    order by n.currency
$$;

revoke all on function fleet.newest_rates(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.newest_rates(timestamptz) is
    'The newest rate of each currency, and whether the currency has a rate that counts now.';
