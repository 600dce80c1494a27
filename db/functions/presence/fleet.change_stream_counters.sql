create or replace function fleet.change_stream_counters(
    p_stream_ids bigint[],
    p_viewers bigint[] default null,
    p_coins bigint[] default null
)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set plan_cache_mode = 'force_generic_plan'
as $$
declare
    v_free_ids bigint[];
begin
    -- Planned once per session, by the setting above: for one stream, planning again for each set of values takes
    -- longer than everything that is done here.
    if p_stream_ids is null then
        return;
    end if;
    -- Money, heartbeats, the sweep and the recompute all write these rows. None waits for another here, so there is
    -- no deadlock: a change whose stream is locked, or a decrease that comes before its increase, is folded in later.
    select array_agg(l.id) into v_free_ids
    from (
        select s.id
        from public.live_streams as s
        where s.id = any(p_stream_ids)
        order by s.id
        for no key update skip locked
    ) as l;
    with changed as (
        update public.live_streams as s
        set
            active_viewer_count = s.active_viewer_count + coalesce(c.viewers, 0),
            recent_gift_coins = s.recent_gift_coins + coalesce(c.coins, 0)
        from unnest(p_stream_ids, p_viewers, p_coins) as c (stream_id, viewers, coins)
        where s.id = c.stream_id
            and s.id = any(v_free_ids)
            and s.active_viewer_count + coalesce(c.viewers, 0) >= 0
            and s.recent_gift_coins + coalesce(c.coins, 0) >= 0
        returning s.id
    )
    insert into fleet.stream_changes (stream_id, viewers, coins)
    select c.stream_id, coalesce(c.viewers, 0), coalesce(c.coins, 0)
    from unnest(p_stream_ids, p_viewers, p_coins) as c (stream_id, viewers, coins)
    where not exists (select 1 from changed as d where d.id = c.stream_id);
end
$$;

revoke all on function fleet.change_stream_counters(bigint[], bigint[], bigint[])
from public, anon, authenticated, service_role;
comment on function fleet.change_stream_counters(bigint[], bigint[], bigint[]) is
    'Adds to the counters of live_streams, each stream named once, without waiting for a lock: what can''t be written '
    'now goes to fleet.stream_changes. Does nothing for no stream.';
