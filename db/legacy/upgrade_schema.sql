-- What a running upgrade works with: the schema upgrade, dropped when it has finished.
create schema upgrade;
comment on schema upgrade is 'What a running upgrade works with; dropped when it has finished.';

-- No real row holds more coins: sums of thousands of such rows still fit a bigint.
create function upgrade.most()
returns numeric
language sql
immutable
set search_path = ''
as $$ select 1e15 $$;

-- How many coins a refund of p_amount_minor can have taken, out of the p_taken that it took. The current schema takes
-- coins in proportion to the money paid back, so it is that number if a proportion gives it, else the next smaller
-- one.
create function upgrade.takable(p_taken numeric, p_coins numeric, p_amount_minor numeric)
returns numeric
language sql
immutable
set search_path = ''
as $$
    select case
        when p_amount_minor = 0 or p_coins = 0 then 0
        when div(p_coins * div(p_taken * p_amount_minor + p_coins - 1, p_coins), p_amount_minor) = p_taken then p_taken
        else div(p_coins * div(p_taken * p_amount_minor, p_coins), p_amount_minor)
    end
$$;

-- Which account of the profile a row of the second generation's ledger moved, in a table that may lack the column.
create function upgrade.account_of(p_row jsonb)
returns text
language sql
immutable
set search_path = ''
as $$
    select case
        when p_row ->> 'account' in ('coins', 'earnings') then p_row ->> 'account'
        when lower(p_row ->> 'type') in ('gift_received', 'payout') then 'earnings'
        else 'coins'
    end
$$;

create view upgrade.this as
select r.generation, 'upgrade:' || r.generation || ':' as prefix from fleet.upgrade_runs as r;
