create or replace function fleet.add_gifts_to_boards(
    p_from xid8,
    p_upto xid8,
    p_today date,
    p_foreign_from xid8,
    p_foreign_upto_entry_id bigint
)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    -- New gifts are found by the ledger's index of transactions, so that gifts need none of their own.
    with gifts as (
        select g.sender_id, g.recipient_id, g.coin_amount, g.created_at
        from public.ledger_entries as e
        cross join lateral (
            select f.sender_id, f.recipient_id, f.coin_amount, f.created_at
            from public.gifts as f
            where f.provider_event_id = substr(e.idempotency_key, char_length('gift:') + 1)
            limit 1
        ) as g
        where e.xact_id >= p_from and e.xact_id < p_upto and e.leg = 0 and e.reason = 'gift'
            -- Counted already, under another cluster's transaction number that this cluster has reached by now.
            and (e.xact_id >= p_foreign_from and e.id <= p_foreign_upto_entry_id) is not true
        union all
        select g.sender_id, g.recipient_id, g.coin_amount, g.created_at
        from public.gifts as g
        where p_from is null
            and not exists (
                select 1
                from public.ledger_entries as e
                where e.xact_id >= p_upto and e.leg = 0 and e.idempotency_key = 'gift:' || g.provider_event_id
                    and (e.xact_id >= p_foreign_from and e.id <= p_foreign_upto_entry_id) is not true
            )
    ),
    days as (
        select s.board, s.profile_id, (g.created_at at time zone 'UTC')::date as day, sum(g.coin_amount) as coins
        from gifts as g
        cross join lateral (
            values ('top_gifters', g.sender_id), ('top_streamers', g.recipient_id)
        ) as s (board, profile_id)
        group by s.board, s.profile_id, day
    )
    insert into fleet.leaderboard_sums as l (board, period, starts_on, profile_id, coins)
    select d.board, p.period, b.starts_on, d.profile_id, sum(d.coins)
    from days as d
    cross join (values ('day'), ('week'), ('month'), ('all_time')) as p (period)
    cross join lateral (select fleet.period_start(p.period, d.day) as starts_on offset 0) as b
    where b.starts_on >= fleet.period_start(p.period, p_today)
    group by d.board, p.period, b.starts_on, d.profile_id
    on conflict (board, period, starts_on, profile_id) do update set coins = l.coins + excluded.coins
$$;

revoke all on function fleet.add_gifts_to_boards(xid8, xid8, date, xid8, bigint)
from public, anon, authenticated, service_role;
comment on function fleet.add_gifts_to_boards(xid8, xid8, date, xid8, bigint) is
    'Adds to fleet.leaderboard_sums the gifts of transactions from p_from up to, not including, p_upto; with p_from '
    'null, all gifts below p_upto. Leaves out periods that ended before p_today, and entries up to '
    'p_foreign_upto_entry_id whose transaction is p_foreign_from or later: those are another cluster''s and counted '
    'already.';
