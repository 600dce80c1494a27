"""A plan that a session made while its tables were small is still right when they are large.

Also if the planner was told that they are empty.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.db.books import APPLIED, PRICE_LIST, Books, Outcome, Payment, gift

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection

NEEDS_APPROVAL = Outcome("held", "needs_approval")
# PostgreSQL keeps a plan from the sixth execution on, if it is no dearer than those before.
OFTEN = 8
# What one event may read of tables that have so many rows more.
FEW = 100
MANY = 20_000
READ = """
select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
from pg_stat_xact_user_tables
where relid = any(array[
    'public.profiles', 'public.coin_purchases', 'public.gifts', 'fleet.payments',
    'fleet.payment_keys', 'fleet.refunds', 'fleet.disputes', 'fleet.provider_calls'
]::regclass[])
"""
# Rows of others; nothing analyzes them, so that no plan is made anew.
PURCHASES = """
insert into public.coin_purchases (
    payment_id, profile_id, provider, provider_event_id, provider_payment_id, coin_amount,
    amount_minor, currency, status, purchased_at, granted_at
)
select
    1000000 + n, $2, 'stripe', 'old_' || n, 'pi_old_' || n, 100, 100, 'usd', 'confirmed', now(),
    now()
from generate_series(1, $1::integer) as n
"""
NUMBERS = "generate_series(1, $1::integer)"
SIGN_UP = "insert into auth.users (id) values ($1)"
GIVE = "select public.process_gift($1, 'rose', $2)"
KEYS = """
insert into fleet.payment_keys (provider, key, payment_id)
select 'stripe', 'pi_old_' || n, 1000000 + n from generate_series(1, $1::integer) as n
"""
DISPUTES = """
insert into fleet.disputes (provider, dispute_id, payment_id, status, amount_minor)
select 'stripe', 'dp_old_' || n, 1000000 + n, 'lost', 100 from generate_series(1, $1::integer) as n
"""
# Of an app that has not answered for long.
MESSAGES = """
insert into fleet.provider_calls (kind, key)
select 'app.deliver', 'old_' || n from generate_series(1, $1::integer) as n
"""
BUY = "select public.process_coin_purchase($1, 'stripe', $2, $3, 100, 1.00)"
REFUNDS = """
insert into fleet.refunds (provider, refund_id, payment_id, amount_minor, status)
select 'stripe', 're_old_' || n, 1000000 + n, 100, 'succeeded'
from generate_series(1, $1::integer) as n
"""


async def decide(books: Books, verb: str, payment: Payment) -> None:
    """A person approves or rejects the payment's purchase, which is held."""
    await books.db.fetchrow(
        f"select * from public.{verb}_coin_purchase($1, 'ann', 'a known customer')",
        (await books.purchase(payment))["id"],
    )


async def test_events_alone_read_no_table_whole_after_it_has_grown(db: Connection) -> None:
    books = Books(db)
    await db.execute("analyze")
    await db.execute(
        "insert into public.gift_types (code, name, coin_cost) values ('rose', 'Rose', 1);"
        " insert into public.coin_packages (provider, sku, coin_amount, amount_minor)"
        " values ('stripe', 'coins_100', 100, 100)"
    )
    friend, other = await books.profiles(2)

    async def one_of_each() -> None:
        payment, buyer = Payment(), await books.profile()
        assert await books.apply_one(payment.bought(buyer)) == APPLIED
        assert await books.apply_one(gift(buyer, friend)) == APPLIED
        assert await books.apply_one(payment.refunded_so_far(10)) == APPLIED

    for _ in range(OFTEN):
        await one_of_each()
    await db.execute(PURCHASES, MANY, other)
    await db.execute(KEYS, MANY)
    await db.execute(REFUNDS, MANY)
    before = await db.fetchval(READ)
    await one_of_each()
    assert await db.fetchval(READ) - before <= 3 * FEW


async def test_freezes_and_decisions_read_no_table_whole_after_it_has_grown(db: Connection) -> None:
    books = Books(db)
    await db.execute("analyze")
    await db.execute(PRICE_LIST)
    other = await books.profile()

    async def one_of_each() -> None:
        buyer, frozen, approved, rejected = await books.profile(), Payment(), Payment(), Payment()
        assert await books.apply_one(frozen.bought(buyer)) == APPLIED
        assert await books.apply_one(frozen.freeze()) == APPLIED
        for payment in (approved, rejected):
            assert await books.apply_one(payment.worth(buyer, 30_000)) == NEEDS_APPROVAL
        await decide(books, "approve", approved)
        await decide(books, "reject", rejected)

    for _ in range(OFTEN):
        await one_of_each()
    await db.execute(PURCHASES, MANY, other)
    await db.execute(KEYS, MANY)
    await db.execute(DISPUTES, MANY)
    before = await db.fetchval(READ)
    await one_of_each()
    assert await db.fetchval(READ) - before <= 6 * FEW


async def test_a_grant_reads_not_all_messages_that_wait_for_the_app(db: Connection) -> None:
    books = Books(db)
    await db.execute("analyze")
    await db.execute(PRICE_LIST)
    await db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    for _ in range(OFTEN):
        await db.fetchrow(BUY, await books.profile(), uuid4().hex, uuid4().hex)
    await db.execute(MESSAGES, MANY)
    buyer = await books.profile()
    before = await db.fetchval(READ)
    await db.fetchrow(BUY, buyer, uuid4().hex, uuid4().hex)
    assert await db.fetchval(READ) - before <= FEW


async def test_a_call_reads_no_table_whole_after_it_has_grown(db: Connection) -> None:
    books = Books(db)
    await db.execute("analyze")
    await db.execute(
        "insert into public.gift_types (code, name, coin_cost) values ('rose', 'Rose', 1)"
    )
    # The rows will be in the order of their ids, so that to read all by their index is cheap.
    friend, other, sender = sorted(uuid4() for _ in range(3))
    await db.executemany(SIGN_UP, [(sender,), (friend,), (other,)])
    await books.adjust(sender, 100)
    await db.execute(
        "select set_config('request.jwt.claims', $1, true)", json.dumps({"sub": str(sender)})
    )
    # The planner knows how few rows there are.
    await db.execute("analyze public.profiles, public.gifts")
    for _ in range(OFTEN):
        await db.fetchrow(GIVE, friend, uuid4().hex)
    await they_grow(db, friend, other)
    before = await db.fetchval(READ)
    await db.fetchrow(GIVE, friend, uuid4().hex)
    assert await db.fetchval(READ) - before <= FEW


async def test_a_batch_of_gifts_reads_no_table_whole_after_it_has_grown(db: Connection) -> None:
    books = Books(db)
    # Every plan is kept from its first use on, and made for tables that are known to be empty.
    await db.execute("set local plan_cache_mode = force_generic_plan")
    await db.execute("analyze")
    await db.execute(
        "insert into public.gift_types (code, name, coin_cost) values ('rose', 'Rose', 1)"
    )
    friend, other, sender = sorted(uuid4() for _ in range(3))
    await db.executemany(SIGN_UP, [(sender,), (friend,), (other,)])
    await books.adjust(sender, 1000)
    for _ in range(OFTEN):
        assert await books.apply(*(gift(sender, friend) for _ in range(9))) == [APPLIED] * 9
    await they_grow(db, friend, other)
    before = await db.fetchval(READ)
    assert await books.apply(*(gift(sender, friend) for _ in range(9))) == [APPLIED] * 9
    assert await db.fetchval(READ) - before <= 2 * FEW


async def they_grow(db: Connection, friend: UUID, other: UUID) -> None:
    """Have many sign up, and receive many gifts; nothing analyzes them."""
    await db.execute("insert into auth.users (id) select gen_random_uuid() from " + NUMBERS, MANY)
    await db.execute(
        "insert into public.gifts (provider_event_id, sender_id, recipient_id, gift_type,"
        " coin_amount, platform_revenue, streamer_revenue)"
        " select 'old_' || n, $2, $3, 'rose', 1, 1, 0 from " + NUMBERS + " as n",
        MANY,
        other,
        friend,
    )
