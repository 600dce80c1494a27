-- live_streams.recent_gift_coins is the sum of the stream's gifts since fleet.recent_gifts_horizon, late changes
-- included.
select
    s.id as stream_id, s.recent_gift_coins,
    coalesce(c.late, 0) as late, coalesce(g.coins, 0) as coins_of_recent_gifts
from public.live_streams as s
left join (
    select g.stream_id, sum(g.coin_amount) as coins
    from public.gifts as g
    cross join fleet.recent_gifts_horizon as h
    where (g.created_at at time zone 'UTC') > (
        select k.counted_from at time zone 'UTC' from fleet.recent_gifts_horizon as k
    )
        -- Gifts dated by a clock that was ahead do not count as recent when that time comes.
        and (g.created_at > h.ahead_from and g.id <= h.ahead_upto_id) is not true
    group by g.stream_id
) as g on g.stream_id = s.id
left join (
    select c.stream_id, sum(c.coins) as late from fleet.stream_changes as c group by c.stream_id
) as c on c.stream_id = s.id
where s.recent_gift_coins + coalesce(c.late, 0) <> coalesce(g.coins, 0)
