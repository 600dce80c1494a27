create or replace function fleet.stale_rates(p_now timestamptz default null)
returns table (currency text, newest_at timestamptz, used_at timestamptz)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    with clock as (
        select coalesce(p_now, clock_timestamp()) as now
    ),
    used as (
        (
            select p.currency, p.created_at as used_at
            from (
                select cp.currency, cp.created_at from public.coin_purchases as cp order by cp.id desc limit 10000
            ) as p
        )
        union all
        -- Held ones, in case they are not among the newest.
        (
            select cp.currency, cp.created_at
            from public.coin_purchases as cp
            where cp.granted_at is null and cp.created_at > (select c.now from clock as c) - interval '30 days'
            order by cp.created_at desc
            limit 10000
        )
        union all
        (
            select d.currency, d.told_at
            from fleet.disputes as d
            where d.told_at > (select c.now from clock as c) - interval '30 days'
            order by d.told_at desc
            limit 10000
        )
    )
    select
        u.currency,
        (select max(r.as_of) from public.fx_rates as r where r.currency = u.currency and r.as_of <= c.now),
        max(u.used_at)
    from used as u
    cross join clock as c
    where u.used_at > c.now - interval '30 days' and u.currency is not null
    group by u.currency, c.now
    having u.currency <> 'usd' and not exists (
        select
        from public.fx_rates as r
        where r.currency = u.currency and r.as_of <= c.now and r.as_of >= c.now - interval '5 days'
    )
    order by u.currency
$$;

revoke all on function fleet.stale_rates(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.stale_rates(timestamptz) is
    'Currencies without a rate of the last 5 days (a rate counts for 7), of the newest 10,000 purchases, held '
    'purchases and disputes of the last 30 days each: the time of their newest rate, null if there is none, and when '
    'they were used last.';
