create or replace function fleet.freeze_counts()
returns table (purchases bigint, coins numeric, freezes bigint, oldest_at timestamptz)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select
        count(*), coalesce(sum(o.coins), 0), coalesce(sum(cardinality(o.sources)), 0)::bigint, min(o.opened_at)
    from fleet.open_freezes(null) as o
$$;

revoke all on function fleet.freeze_counts() from public, anon, authenticated, service_role;
comment on function fleet.freeze_counts() is
    'How many purchases are frozen, how many coins, by how many freezes, and since when the longest. Costs as much as '
    'is frozen.';
