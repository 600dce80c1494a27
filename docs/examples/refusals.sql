-- What is refused, and with which SQLSTATE. Callers should check the SQLSTATE, not the message.
--
--     psql "$(.venv/bin/coinfleet database-url)" -Xaqf docs/examples/refusals.sql
--
-- What it prints is kept in refusals.out; each ERROR there is what should happen. It ends with
-- rollback, so nothing stays in the database. It expects the default limits: 50,000.00 US dollars
-- per purchase, approval above 25,000.00, five purchases per minute.

-- After an error psql takes back the failed statement alone and goes on. It prints the SQLSTATE.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY sqlstate
\pset footer off
\set viewer 00000000-0000-4000-8000-0000000000a1
\set streamer 00000000-0000-4000-8000-0000000000b2
begin;
insert into auth.users (id) values (:'viewer'), (:'streamer');
insert into gift_types (code, name, coin_cost) values ('example_rose', 'Rose', 1);
select update_coin_balance_via_ledger(:'viewer', 10, 'welcome', 'example:welcome') as coin_balance;

-- Nobody is signed in: not allowed.
select * from process_gift(:'streamer', 'example_rose', 'key-1');

select set_config('request.jwt.claims', json_build_object('sub', :'viewer')::text, true) as claims;

-- Eleven roses cost 11 coins; the viewer has 10: insufficient_coins.
select * from process_gift(:'streamer', 'example_rose', 'key-1', 11);

-- A gift to oneself: self_gift.
select * from process_gift(:'viewer', 'example_rose', 'key-1');

-- A gift type that is not in the list: unknown_gift_type.
select * from process_gift(:'streamer', 'example_comet', 'key-1');

-- A recipient who has no profile: unknown_recipient.
select * from process_gift('00000000-0000-4000-8000-0000000000ff', 'example_rose', 'key-1');

-- A stream that does not exist: unknown_stream.
select * from process_gift(:'streamer', 'example_rose', 'key-1', 1, 0);

-- A quantity of 0: an invalid argument.
select * from process_gift(:'streamer', 'example_rose', 'key-1', 0);

-- A refused gift does not use up its key, so this gift is given.
select coin_balance, replayed from process_gift(:'streamer', 'example_rose', 'key-1', 2);

-- The same key for another quantity: idempotency_conflict.
select coin_balance, replayed from process_gift(:'streamer', 'example_rose', 'key-1', 3);

-- One cent above the limit of a purchase: purchase_over_limit.
select * from process_coin_purchase(:'viewer', 'app', 'evt_example', 'pay_example', 100, 50000.01);

-- Above 25,000.00 a purchase is recorded, but credits nothing until a person has approved it.
select status, coin_balance
from process_coin_purchase(:'viewer', 'app', 'evt_example_1', 'pay_example_1', 100, 25000.01);

-- The same ids for another number of coins: idempotency_conflict.
select * from process_coin_purchase(:'viewer', 'app', 'evt_example_1', 'pay_example_1', 101, 25000.01);

-- The pending purchase and four more are five within a minute. The sixth: purchase_velocity.
select n, coin_balance
from generate_series(2, 5) as n,
    process_coin_purchase(:'viewer', 'app', 'evt_example_' || n, 'pay_example_' || n, 100, 1.00);
select * from process_coin_purchase(:'viewer', 'app', 'evt_example_6', 'pay_example_6', 100, 1.00);

-- A provider's name is written in lower case: an invalid argument.
select * from process_coin_purchase(:'viewer', 'Stripe', 'evt_example_7', 'pay_example_7', 100, 1.00);

-- Not even the owner of the table may change a ledger entry: the ledger is append-only.
update ledger_entries set amount = 1000000 where profile_id = :'viewer';

rollback;
