create or replace function fleet.fold_stream_changes(p_limit integer default 50000)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_stream_ids bigint[];
    v_viewers bigint[];
    v_coins bigint[];
begin
    with taken as (
        delete from fleet.stream_changes as c
        where c.id in (select k.id from fleet.stream_changes as k order by k.id limit p_limit for update skip locked)
        returning c.stream_id, c.viewers, c.coins
    )
    select array_agg(s.stream_id), array_agg(s.viewers), array_agg(s.coins) into v_stream_ids, v_viewers, v_coins
    from (
        select t.stream_id, sum(t.viewers)::bigint as viewers, sum(t.coins)::bigint as coins
        from taken as t
        group by t.stream_id
        having sum(t.viewers) <> 0 or sum(t.coins) <> 0
    ) as s;
    if v_stream_ids is null then
        return;
    end if;
    perform 1 from public.live_streams as s where s.id = any(v_stream_ids) order by s.id for no key update;
    -- A counter that drifted stops at zero, where the nightly proof finds it.
    update public.live_streams as s
    set
        active_viewer_count = greatest(s.active_viewer_count + c.viewers, 0),
        recent_gift_coins = greatest(s.recent_gift_coins + c.coins, 0)
    from unnest(v_stream_ids, v_viewers, v_coins) as c (stream_id, viewers, coins)
    where s.id = c.stream_id;
end
$$;

revoke all on function fleet.fold_stream_changes(integer) from public, anon, authenticated, service_role;
comment on function fleet.fold_stream_changes(integer) is
    'Folds up to p_limit changes that found their stream locked into its counters. Locks: streams by id; called by the '
    'recompute only, whose calls take turns.';
