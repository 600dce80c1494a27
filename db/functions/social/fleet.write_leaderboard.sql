create or replace function fleet.write_leaderboard(p_today date)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    with first_hundred as (
        select b.board, p.period, t.rank, t.profile_id, t.coins
        from (values ('top_gifters'), ('top_streamers')) as b (board)
        cross join (values ('day'), ('week'), ('month'), ('all_time')) as p (period)
        cross join lateral (
            select s.profile_id, s.coins, row_number() over (order by s.coins desc, s.profile_id) as rank
            from fleet.leaderboard_sums as s
            where s.board = b.board and s.period = p.period and s.starts_on = fleet.period_start(p.period, p_today)
            order by s.coins desc, s.profile_id
            limit 100
        ) as t
    ),
    dropped as (
        delete from public.leaderboard_cache as c
        where not exists (
            select 1 from first_hundred as f where f.board = c.board and f.period = c.period and f.rank = c.rank
        )
    )
    insert into public.leaderboard_cache as c (board, period, rank, profile_id, coins)
    select f.board, f.period, f.rank, f.profile_id, f.coins
    from first_hundred as f
    -- A line that is right already is not written, because each write is sent to every client that listens.
    on conflict (board, period, rank) do update
    set profile_id = excluded.profile_id, coins = excluded.coins, refreshed_at = clock_timestamp()
    where (c.profile_id, c.coins) is distinct from (excluded.profile_id, excluded.coins);

    -- Periods that ended, a part at a time: a day may leave a line for everybody who gave or received something.
    delete from fleet.leaderboard_sums as s
    where s.ctid = any(array(
        select o.ctid
        from (values ('top_gifters'), ('top_streamers')) as b (board)
        cross join (values ('day'), ('week'), ('month')) as p (period)
        cross join lateral (
            select e.ctid
            from fleet.leaderboard_sums as e
            where e.board = b.board and e.period = p.period and e.starts_on < fleet.period_start(p.period, p_today)
            limit 10000
        ) as o
    ));
end
$$;

revoke all on function fleet.write_leaderboard(date) from public, anon, authenticated, service_role;
comment on function fleet.write_leaderboard(date) is
    'Writes the first hundred of each running period to public.leaderboard_cache, and removes sums of periods that '
    'ended, up to 10,000 per board and period.';
