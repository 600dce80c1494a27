-- fleet.leaderboard_sums counts each gift once for its sender and once for its recipient, in all time and in the
-- running periods: all gifts before fleet.leaderboard_horizon.complete_until, and no others. Checked by time, while
-- the refresh counts by transaction.
with days as (
    select
        s.board, s.profile_id, (g.created_at at time zone 'UTC')::date as day,
        sum(g.coin_amount) as at_most,
        -- A gift's created_at is within seconds of its transaction's number.
        sum(g.coin_amount) filter (where g.created_at < h.complete_until - interval '1 minute') as at_least
    from public.gifts as g
    cross join fleet.leaderboard_horizon as h
    cross join lateral (values ('top_gifters', g.sender_id), ('top_streamers', g.recipient_id)) as s (board, profile_id)
    group by s.board, s.profile_id, day
),
periods as (
    select p.period, date_trunc(p.period, now() at time zone 'UTC')::date as running
    from (values ('day'), ('week'), ('month')) as p (period)
    union all
    select 'all_time', '-infinity'
),
expected as (
    select
        d.board, p.period, d.profile_id, sum(d.at_most) as at_most, coalesce(sum(d.at_least), 0) as at_least,
        case p.period when 'all_time' then '-infinity' else date_trunc(p.period, d.day::timestamp)::date end
            as starts_on
    from days as d
    cross join periods as p
    group by d.board, p.period, starts_on, d.profile_id
)
select board, period, starts_on, profile_id, s.coins, e.at_least, e.at_most
from expected as e
full join fleet.leaderboard_sums as s using (board, period, starts_on, profile_id)
join periods as p using (period)
where starts_on >= p.running
    and (coalesce(s.coins, 0) between e.at_least and e.at_most) is not true
