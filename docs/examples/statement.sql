-- The statement of a profile: each movement of its coins, and the proof of its balance.
--
--     psql "$(.venv/bin/coinfleet database-url)" -Xaqf docs/examples/statement.sql
--
-- What it prints is kept in statement.out. It ends with rollback, so nothing stays in the database.
-- The queries below the line of dashes work for any profile: set `profile` to its id.
\set ON_ERROR_STOP on
\pset footer off
\pset null '-'
\set profile 00000000-0000-4000-8000-0000000000a1
\set streamer 00000000-0000-4000-8000-0000000000b2
begin;

-- Somebody buys 100 coins, gives 80 away, and then gets all the money back. The refund takes 100
-- coins, of which only 20 are left: the account owes 80.
insert into auth.users (id) values (:'profile'), (:'streamer');
insert into gift_types (code, name, coin_cost, streamer_share_bps)
values ('example_rose', 'Rose', 1, 7000);
select coin_balance
from process_coin_purchase(:'profile', 'stripe', 'evt_example_1', 'pi_example_1', 100, 1.00);
select set_config('request.jwt.claims', json_build_object('sub', :'profile')::text, true) as claims;
select coin_balance from process_gift(:'streamer', 'example_rose', 'key-1', 80);
select count(*)
from fleet.apply_claimed_events(
    jsonb_build_array(
        jsonb_build_object(
            'kind', 'refund', 'provider', 'stripe', 'payment_keys', array['pi_example_1'],
            'refund_id', 're_example_1', 'amount_minor', 100, 'status', 'succeeded',
            'refund_created_at', now(), 'told_at', now(), 'received_at', now()
        )
    )
)
\g /dev/null

-- The next purchase pays the debt first.
select coin_balance
from process_coin_purchase(:'profile', 'stripe', 'evt_example_2', 'pi_example_2', 100, 1.00);

-- ---------------------------------------------------------------------------------------------
-- The statement. `seq` counts the entries of an account without a gap.
select account, seq, reason, amount, balance_after
from ledger_entries
where profile_id = :'profile'
order by account, seq;

-- The purchases behind it.
select provider_payment_id, status, coin_amount, refunded_coins, usd_amount, hold_reason
from coin_purchases
where profile_id = :'profile'
order by id;

-- The proof: the balance is the sum of the entries, and the last `seq` is their number.
select
    p.coin_balance,
    sum(e.amount) as sum_of_entries,
    max(e.seq) as last_seq,
    count(*) as entries
from profiles as p
join ledger_entries as e on e.profile_id = p.id and e.account = 'coins'
where p.id = :'profile'
group by p.id;

-- The nightly proof runs this query over all profiles. No row: the balance is right.
select * from invariants.balances_match_ledger where profile_id = :'profile';

-- The streamer keeps the earnings of the gift, though the buyer's money went back.
select account, seq, reason, amount, balance_after
from ledger_entries
where profile_id = :'streamer'
order by account, seq;

rollback;
