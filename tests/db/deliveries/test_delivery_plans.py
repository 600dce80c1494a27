"""What the app is told at any size: a batch reads what it decides, whatever the outbox holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.outbox.deliveries import KIND, UNDELIVERED
from tests.db.books import Payment, gift
from tests.db.calls.outbox import Outbox
from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.deliveries.messages import Messages

MANY = 5_000
FEW = 200
READ = """
select coalesce(sum(seq_scan), 0), coalesce(sum(seq_tup_read + idx_tup_fetch), 0)
from pg_stat_xact_user_tables where relname = any($1)
"""


@pytest.fixture
async def history(books: Books, messages: Messages) -> Outbox:
    """Messages in each state, and a history of gifts and entries that nobody told."""
    await books.db.execute("update fleet.settings set app_told_since = null")
    sender, recipient = await books.profiles(2, coins=MANY)
    await books.apply(*(gift(sender, recipient) for _ in range(500)))
    await books.db.execute("update fleet.settings set app_told_since = clock_timestamp()")
    await books.db.execute(
        "insert into fleet.provider_calls"
        " (kind, key, state, request, finished_at, next_attempt_at)"
        " select 'app.deliver', s || n, s, '{\"a\": 1}', d.at, $2::timestamptz + interval '9 hours'"
        " from (values ('pending', null), ('done', $2::timestamptz), ('dead', null)) as d (s, at)"
        " cross join generate_series(1, $1) as n",
        MANY,
        books.now,
    )
    await books.db.execute("analyze fleet.provider_calls, public.ledger_entries, public.gifts")
    return Outbox(books)


async def read(books: Books, *tables: str) -> tuple[int, int]:
    """How often this transaction read these tables whole, and how many of their rows."""
    row = await books.db.fetchrow(READ, list(tables))
    assert row is not None
    return int(row[0]), int(row[1])


@pytest.mark.parametrize("state", ["pending", "dead"])
async def test_what_is_undelivered_is_read_by_the_index_of_its_state(
    history: Outbox, books: Books, state: str
) -> None:
    index = {"pending": "provider_calls_open_idx", "dead": "provider_calls_dead_idx"}[state]
    nodes = await plan(books.db, UNDELIVERED[state], KIND, None)
    assert indexes(nodes) == {index}


async def test_a_message_is_written_without_reading_the_outbox(
    history: Outbox, books: Books, messages: Messages
) -> None:
    buyer, streamer = await books.profiles(2)
    payment = Payment()
    _, before = await read(books, "provider_calls", "ledger_entries", "gifts")
    await books.apply(payment.bought(buyer), gift(buyer, streamer), Payment().worth(buyer, 30_000))
    await books.apply_one(payment.refund(40))
    _, after = await read(books, "provider_calls", "ledger_entries", "gifts")
    assert after - before < FEW
    written = await books.db.fetchval("select count(*) from fleet.provider_calls")
    assert written == 3 * MANY + 4


async def test_messages_that_wait_for_hours_cost_a_claim_nothing(
    history: Outbox, books: Books
) -> None:
    await history.write("due", kind="app.deliver")
    whole, before = await read(books, "provider_calls")
    (call,) = await history.claim("app.deliver")
    await history.fail(call)
    whole_then, after = await read(books, "provider_calls")
    assert (whole_then, after - before < FEW) == (whole, True)


async def test_messages_of_this_week_are_not_read_to_find_the_old_ones(
    history: Outbox, books: Books
) -> None:
    await books.db.execute(
        "update fleet.provider_calls set finished_at = clock_timestamp() where state = 'done'"
    )
    _, before = await read(books, "provider_calls")
    # By the clock of the database, as a worker calls it.
    assert await books.db.fetchval("select fleet.drop_old_deliveries(10)") == 0
    _, after = await read(books, "provider_calls")
    assert after - before < FEW


async def test_old_messages_are_found_by_their_age(history: Outbox, books: Books) -> None:
    whole, before = await read(books, "provider_calls")
    await books.db.execute("select fleet.drop_old_deliveries(10, $1)", books.now)
    whole_then, after = await read(books, "provider_calls")
    assert (whole_then, after - before < FEW) == (whole, True)
