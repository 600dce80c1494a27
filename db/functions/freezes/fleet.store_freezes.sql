create or replace function fleet.store_freezes(p_facts fleet.fact[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.freezes as z (provider, source, source_id, payment_id, opened_at, told_at, is_open)
    select distinct on (f.provider, f.source, f.source_id)
        f.provider, f.source, f.source_id,
        min(f.payment_id) over of_source,
        min(coalesce(f.opened_at, f.told_at)) over of_source,
        f.told_at, f.is_open
    from unnest(p_facts) as f
    where f.kind = 'freeze'
    window of_source as (partition by f.provider, f.source, f.source_id)
    -- The newest event counts; in one second closed beats open.
    order by f.provider, f.source, f.source_id, f.told_at desc, f.is_open
    on conflict (provider, source, source_id) do update
    set
        opened_at = least(z.opened_at, excluded.opened_at),
        told_at = greatest(z.told_at, excluded.told_at),
        is_open = case
            when excluded.told_at > z.told_at then excluded.is_open
            when excluded.told_at = z.told_at then z.is_open and excluded.is_open
            else z.is_open
        end
$$;

revoke all on function fleet.store_freezes(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.store_freezes(fleet.fact[]) is
    'Stores what freeze facts tell: the newest event of each warning and review, so that events in any order, told any '
    'number of times, end the same. The caller holds the locks of their payments.';
