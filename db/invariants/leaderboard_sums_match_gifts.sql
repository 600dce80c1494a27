-- fleet.leaderboard_sums counts each gift below its horizon once on each side, in all time and the running periods.
with counted as (
    select g.sender_id, g.recipient_id, g.coin_amount, (g.created_at at time zone 'UTC')::date as day
    from public.gifts as g
    cross join fleet.leaderboard_horizon as h
    where h.upto_xid is not null
        and not exists (
            select 1
            from public.ledger_entries as e
            where e.xact_id >= h.upto_xid and e.leg = 0 and e.idempotency_key = 'gift:' || g.provider_event_id
        )
),
days as (
    select s.board, s.profile_id, c.day, sum(c.coin_amount) as coins
    from counted as c
    cross join lateral (values ('top_gifters', c.sender_id), ('top_streamers', c.recipient_id)) as s (board, profile_id)
    group by s.board, s.profile_id, c.day
),
periods as (
    select p.period, date_trunc(p.period, now() at time zone 'UTC')::date as running
    from (values ('day'), ('week'), ('month')) as p (period)
    union all
    select 'all_time', '-infinity'
),
expected as (
    select
        d.board, p.period, d.profile_id, sum(d.coins) as coins,
        case p.period when 'all_time' then '-infinity' else date_trunc(p.period, d.day::timestamp)::date end as starts_on
    from days as d
    cross join periods as p
    group by d.board, p.period, starts_on, d.profile_id
)
select board, period, starts_on, profile_id, s.coins, e.coins as coins_of_gifts
from expected as e
full join fleet.leaderboard_sums as s using (board, period, starts_on, profile_id)
join periods as p using (period)
where starts_on >= p.running and s.coins is distinct from e.coins
