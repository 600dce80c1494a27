-- A gift: coins of a viewer become earnings of a streamer and revenue of the platform.
--
--     psql "$(.venv/bin/coinfleet database-url)" -Xaqf docs/examples/gift.sql
--
-- What it prints is kept in gift.out. It ends with rollback, so nothing stays in the database.
\set ON_ERROR_STOP on
\pset footer off
\set viewer 00000000-0000-4000-8000-0000000000a1
\set streamer 00000000-0000-4000-8000-0000000000b2
begin;

-- Two people sign up. A trigger makes a profile for each user.
insert into auth.users (id) values (:'viewer'), (:'streamer');

-- An operator gives the viewer 100 coins. The key makes sure that this happens once.
select update_coin_balance_via_ledger(:'viewer', 100, 'welcome', 'example:welcome') as coin_balance;

-- A cake costs 3 coins. 5500 basis points (55 %) of a gift are the streamer's.
insert into gift_types (code, name, coin_cost, streamer_share_bps)
values ('example_cake', 'Cake', 3, 5500);

-- The viewer signs in. Supabase puts the claims of the token into this setting.
select set_config('request.jwt.claims', json_build_object('sub', :'viewer')::text, true) as claims;

-- Three cakes cost 9 coins. The sender is whoever is signed in, so no argument names one.
select coin_balance, replayed from process_gift(:'streamer', 'example_cake', 'key-1', 3);

-- The same key again, as after a lost connection: nothing more is taken.
select coin_balance, replayed from process_gift(:'streamer', 'example_cake', 'key-1', 3);

-- 55 % of 9 coins are 4.95. The streamer's share is rounded down, the rest is the platform's.
select coin_amount, streamer_revenue, platform_revenue
from gifts
where sender_id = :'viewer';

-- Double entry: the amounts of each transaction sum to zero.
select
    dense_rank() over (order by transaction_id) as transaction,
    case profile_id when :'viewer' then 'viewer' when :'streamer' then 'streamer' else 'platform' end as owner,
    account, amount, balance_after, reason
from ledger_entries
where transaction_id in (
    select transaction_id from ledger_entries where profile_id in (:'viewer', :'streamer')
)
order by transaction_id, leg;

rollback;
