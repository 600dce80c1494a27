create or replace function fleet.rate_faults(
    p_currencies text[],
    p_usd_per_unit numeric[],
    p_as_of timestamptz[],
    p_allow_unusual boolean,
    p_now timestamptz
)
returns table (row_no bigint, fault text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    with told as (
        select
            r.row_no,
            r.currency,
            r.usd_per_unit,
            coalesce(r.as_of, p_now) as as_of,
            row_number() over (partition by r.currency, coalesce(r.as_of, p_now) order by r.row_no) as nth
        from unnest(p_currencies, p_usd_per_unit, p_as_of) with ordinality as r (currency, usd_per_unit, as_of, row_no)
    )
    select t.row_no, f.fault
    from told as t
    left join lateral (
        select x.usd_per_unit, x.as_of
        from public.fx_rates as x
        where x.currency = t.currency and x.as_of <= t.as_of
        order by x.as_of desc
        limit 1
    ) as before on true
    cross join lateral (
        values
        (1, t.currency !~ '^[a-z]{3}$', 'a currency has three letters, such as eur'),
        (2, t.currency = 'usd', 'US dollars need no rate'),
        -- No currency is worth so little or so much; not-a-number counts as more than any.
        (
            3, t.usd_per_unit not between 0.00000001 and 100,
            'a unit is worth between 0.00000001 and 100 US dollars: was it turned round?'
        ),
        (4, t.as_of > p_now, 'its time is in the future'),
        -- The first time that there is arrives as no time at all.
        (4, t.as_of < '2000-01-01 00:00Z', 'its time is before 2000'),
        (5, t.nth > 1, 'this currency and time stand here twice'),
        (
            6, before.as_of = t.as_of and before.usd_per_unit <> t.usd_per_unit,
            'there is a rate of this time, ' || before.usd_per_unit || ', and rates never change: set a later one'
        ),
        (
            7, not p_allow_unusual and before.as_of < t.as_of
            and t.usd_per_unit not between before.usd_per_unit / 2 and before.usd_per_unit * 2,
            'it is less than half or more than twice the rate before, ' || before.usd_per_unit
            || ': if it is right, add --unusual'
        )
    ) as f (no, is_wrong, fault)
    where f.is_wrong
    order by t.row_no, f.no
$$;

revoke all on function fleet.rate_faults(text[], numeric[], timestamptz[], boolean, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.rate_faults(text[], numeric[], timestamptz[], boolean, timestamptz) is
    'What is wrong with these rates, by their number from 1; no row if all are right. A rate without a time is of now.';
