-- A purchase that the platform's own backend records, and its refunds.
--
--     psql "$(.venv/bin/coinfleet database-url)" -Xaqf docs/examples/purchase_and_refund.sql
--
-- What it prints is kept in purchase_and_refund.out. It ends with rollback, so nothing stays in the
-- database.
\set ON_ERROR_STOP on
\pset footer off
\set buyer 00000000-0000-4000-8000-0000000000a1
begin;
insert into auth.users (id) values (:'buyer');

-- 1,000 coins for 10.00 US dollars, under the ids that Stripe gave to the event and the payment.
select status, coin_balance, replayed
from process_coin_purchase(:'buyer', 'stripe', 'evt_example', 'pi_example', 1000, 10.00);

-- The same payment again, by another event: nothing more is credited.
select status, coin_balance, replayed
from process_coin_purchase(:'buyer', 'stripe', 'evt_example_2', 'pi_example', 1000, 10.00);

-- A refund comes as a webhook. A worker reads the webhook and passes this fact to the database.
-- Here the fact is written by hand. Amounts are in cents.
prepare refund (text, integer, text) as
select count(*) as outcomes
from fleet.apply_claimed_events(
    jsonb_build_array(
        jsonb_build_object(
            'kind', 'refund', 'provider', 'stripe', 'payment_keys', array['pi_example'],
            'refund_id', $1, 'amount_minor', $2, 'status', $3,
            'refund_created_at', now(), 'told_at', now(), 'received_at', now()
        )
    )
);
prepare purchase as
select p.status, p.coin_amount, p.refunded_coins, b.coin_balance
from coin_purchases as p
join profiles as b on b.id = p.profile_id
where p.profile_id = :'buyer';

-- Half of the money goes back, and half of the coins.
execute refund ('re_example_1', 500, 'succeeded') \g /dev/null
execute purchase;

-- The same refund again, as when a webhook is sent twice: nothing changes.
execute refund ('re_example_1', 500, 'succeeded') \g /dev/null
execute purchase;

-- The other half.
execute refund ('re_example_2', 500, 'succeeded') \g /dev/null
execute purchase;

-- The second refund fails at the buyer's bank: its coins come back.
execute refund ('re_example_2', 500, 'failed') \g /dev/null
execute purchase;

-- The statement of the account. Each step added an entry; none changed an earlier one.
select seq, reason, amount, balance_after
from ledger_entries
where profile_id = :'buyer' and account = 'coins'
order by seq;

rollback;
