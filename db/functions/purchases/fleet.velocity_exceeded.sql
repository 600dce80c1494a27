create or replace function fleet.velocity_exceeded(
    p_others timestamptz[],
    p_purchased_at timestamptz,
    p_purchases_per_minute integer
)
returns boolean
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select exists (
        select 1
        from (
            select u.at as first_at, lead(u.at, p_purchases_per_minute) over (order by u.at) as last_at
            from unnest(p_others || p_purchased_at) as u (at)
        ) as w
        where p_purchased_at between w.first_at and w.last_at
            and w.last_at - w.first_at < interval '60 seconds'
    )
$$;

revoke all on function fleet.velocity_exceeded(timestamptz[], timestamptz, integer)
from public, anon, authenticated, service_role;
comment on function fleet.velocity_exceeded(timestamptz[], timestamptz, integer) is
    'Whether one more purchase at that time makes more than the allowed number within some rolling 60 s, in whatever '
    'order the events came.';
