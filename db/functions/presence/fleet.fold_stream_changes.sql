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
    -- A viewer may have left while the streams were being locked: the counter may hold the leaving already, while the
    -- joining is among the changes that this fold has not taken. A change that would make a counter negative stays
    -- for a later fold, so that nothing is lost.
    with folded as (
        select s.id, s.active_viewer_count + c.viewers as viewers, s.recent_gift_coins + c.coins as coins
        from public.live_streams as s
        join unnest(v_stream_ids, v_viewers, v_coins) as c (stream_id, viewers, coins) on c.stream_id = s.id
    ),
    written as (
        update public.live_streams as s
        set active_viewer_count = greatest(f.viewers, 0), recent_gift_coins = greatest(f.coins, 0)
        from folded as f
        where s.id = f.id
    )
    insert into fleet.stream_changes (stream_id, viewers, coins)
    select f.id, least(f.viewers, 0), least(f.coins, 0)
    from folded as f
    where f.viewers < 0 or f.coins < 0;
end
$$;

revoke all on function fleet.fold_stream_changes(integer) from public, anon, authenticated, service_role;
comment on function fleet.fold_stream_changes(integer) is
    'Adds up to p_limit late changes to the counters of their streams. A decrease that would make a counter negative '
    'stays late. Locks: streams by id. Only the recompute calls it, and its calls run one after the other.';
