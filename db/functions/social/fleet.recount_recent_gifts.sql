create or replace function fleet.recount_recent_gifts(p_known fleet.recent_gifts_horizon, p_now timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
-- Uses the block range index, however few gifts there are.
set enable_seqscan = off
as $$
declare
    v_hour_ahead timestamptz := p_now + interval '1 hour';
    v_stream_ids bigint[];
    v_coins bigint[];
begin
    if p_known.counted_from > p_now or exists (
        select 1
        from public.gifts as g
        where (g.created_at at time zone 'UTC') > (v_hour_ahead at time zone 'UTC')
            and g.id > coalesce(p_known.ahead_upto_id, 0)
    ) then
        p_known.counted_from := least(p_known.counted_from, p_now);
        p_known.ahead_from := v_hour_ahead;
        select coalesce(max(g.id), p_known.ahead_upto_id) into p_known.ahead_upto_id
        from public.gifts as g
        where (g.created_at at time zone 'UTC') > (v_hour_ahead at time zone 'UTC');
        -- A transaction that writes a gift at this moment uses the old horizon. The next two runs find such gifts.
        p_known.recounts := 3;
    end if;
    if p_known.recounts = 0 then
        return;
    end if;
    update fleet.recent_gifts_horizon as h
    set
        counted_from = p_known.counted_from,
        ahead_from = p_known.ahead_from,
        ahead_upto_id = p_known.ahead_upto_id,
        recounts = p_known.recounts - 1;
    -- A gift and its count are committed together, so their difference in one snapshot is exact.
    select array_agg(d.id), array_agg(d.coins) into v_stream_ids, v_coins
    from (
        select s.id, coalesce(g.coins, 0) - s.recent_gift_coins - coalesce(c.late, 0) as coins
        from public.live_streams as s
        left join (
            select g.stream_id, sum(g.coin_amount)::bigint as coins
            from public.gifts as g
            where (g.created_at at time zone 'UTC') > (p_known.counted_from at time zone 'UTC')
                and (g.created_at > p_known.ahead_from and g.id <= p_known.ahead_upto_id) is not true
            group by g.stream_id
        ) as g on g.stream_id = s.id
        left join (
            select k.stream_id, sum(k.coins)::bigint as late from fleet.stream_changes as k group by k.stream_id
        ) as c on c.stream_id = s.id
    ) as d
    where d.coins <> 0;
    perform fleet.change_stream_counters(v_stream_ids, p_coins => v_coins);
end
$$;

revoke all on function fleet.recount_recent_gifts(fleet.recent_gifts_horizon, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.recount_recent_gifts(fleet.recent_gifts_horizon, timestamptz) is
    'After a clock that was ahead has been set right: moves the horizon of recent gifts back to now, leaves out gifts '
    'dated more than an hour ahead of now, and counts the others again. Else it does nothing.';
