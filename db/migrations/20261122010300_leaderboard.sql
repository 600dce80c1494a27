-- Who gave and who got most: sums that grow with each new gift, and the first hundred of each board for clients.

create table public.leaderboard_cache (
    board text not null,
    period text not null,
    rank integer not null,
    profile_id uuid not null references public.profiles (id),
    coins bigint not null,
    refreshed_at timestamptz not null default clock_timestamp(),
    primary key (board, period, rank),
    constraint board_known check (board in ('top_streamers', 'top_gifters')),
    constraint period_known check (period in ('day', 'week', 'month', 'all_time')),
    constraint rank_positive check (rank > 0),
    constraint coins_positive check (coins > 0)
);
create index leaderboard_cache_profile_id_idx on public.leaderboard_cache (profile_id);
alter table public.leaderboard_cache enable row level security;
revoke all on public.leaderboard_cache from public, anon, authenticated, service_role;
comment on table public.leaderboard_cache is 'The first hundred by coins given (top_gifters) or received (top_streamers), in the running day, week from Monday, and month of UTC, and ever. Readers see one refresh or the next, never a mixture.';
comment on column public.leaderboard_cache.refreshed_at is 'When a refresh wrote this line last; one that finds it right leaves it alone.';

create table fleet.leaderboard_sums (
    board text not null,
    period text not null,
    starts_on date not null,
    profile_id uuid not null,
    coins bigint not null,
    primary key (board, period, starts_on, profile_id)
);
create index leaderboard_sums_by_coins_idx on fleet.leaderboard_sums (board, period, starts_on, coins desc, profile_id);
comment on table fleet.leaderboard_sums is 'Coins of each profile in each period, all gifts below fleet.leaderboard_horizon counted once. Periods that ended are removed.';
comment on column fleet.leaderboard_sums.starts_on is 'The first day of the period in UTC; -infinity for all time.';

create table fleet.leaderboard_horizon (
    only_row boolean primary key default true,
    upto_xid xid8,
    constraint one_row check (only_row)
);
insert into fleet.leaderboard_horizon default values;
comment on table fleet.leaderboard_horizon is 'Gifts of transactions below upto_xid are counted; null makes the next refresh count all gifts anew. Its row lock makes refreshes take turns.';
