-- Definer: the worker has no right to gifts or streams themselves.
create or replace function fleet.age_recent_gifts(p_now timestamptz default null)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
-- Uses the block range index, however few gifts there are.
set enable_seqscan = off
as $$
declare
    v_known fleet.recent_gifts_horizon;
    v_now timestamptz;
    v_from timestamptz;
    v_hour_ago timestamptz;
    v_upto timestamptz;
    v_stream_ids bigint[];
    v_coins bigint[];
begin
    select h.* into v_known from fleet.recent_gifts_horizon as h for update;
    v_now := coalesce(p_now, clock_timestamp());
    perform fleet.recount_recent_gifts(v_known, v_now);
    v_from := least(v_known.counted_from, v_now);
    v_hour_ago := v_now - interval '1 hour';
    if v_hour_ago <= v_from then
        return true;
    end if;
    v_upto := least(v_hour_ago, v_from + interval '1 hour');

    -- A gift is committed within seconds of its created_at, so all that are an hour old are seen here.
    select array_agg(c.stream_id), array_agg(c.coins) into v_stream_ids, v_coins
    from (
        select g.stream_id, -sum(g.coin_amount)::bigint as coins
        from public.gifts as g
        where (g.created_at at time zone 'UTC') > (v_from at time zone 'UTC')
            and (g.created_at at time zone 'UTC') <= (v_upto at time zone 'UTC')
            and g.stream_id is not null
            -- Gifts dated by a clock that was ahead have been taken out already.
            and (g.created_at > v_known.ahead_from and g.id <= v_known.ahead_upto_id) is not true
        group by g.stream_id
    ) as c;
    perform fleet.change_stream_counters(v_stream_ids, p_coins => v_coins);
    update fleet.recent_gifts_horizon as h set counted_from = v_upto;
    return v_upto = v_hour_ago;
end
$$;

revoke all on function fleet.age_recent_gifts(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.age_recent_gifts(timestamptz) is
    'Takes gifts older than an hour out of live_streams.recent_gift_coins, an hour''s worth per call; returns whether '
    'none is left. The cost grows with the gifts that became old.';
