-- The end of an upgrade: every user has a profile, new ids follow the old ones, boards are counted anew.

insert into public.profiles (id, created_at)
select a.id, coalesce((to_jsonb(a) ->> 'created_at')::timestamptz, clock_timestamp()) from auth.users as a
on conflict (id) do nothing;

select pg_catalog.setval(
    pg_catalog.pg_get_serial_sequence(n.table_name, 'id'),
    greatest(n.highest, pg_catalog.nextval(pg_catalog.pg_get_serial_sequence(n.table_name, 'id')))
)
from (
    select 'public.live_streams' as table_name, max(id) as highest from public.live_streams
    union all
    select 'public.coin_purchases', max(id) from public.coin_purchases
    union all
    select 'public.gifts', max(id) from public.gifts
    union all
    select 'public.chat_messages', max(id) from public.chat_messages
) as n;

-- A board that was refreshed meanwhile counted half of the history, so all of it is counted again.
delete from fleet.leaderboard_sums;
update fleet.leaderboard_horizon set upto_xid = null;

-- What was copied is no news for the app.
update fleet.settings set app_told_since = clock_timestamp() where app_told_since is not null;

drop schema upgrade cascade;
