"""The outbox at any size: what is done, and what nobody can make, costs a claim nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.calls.outbox import KIND

if TYPE_CHECKING:
    from tests.db.books import Books
    from tests.db.calls.outbox import Outbox

MANY = 5_000
# Of many calls, each statement may read so many.
FEW = 100
READ = """
select coalesce(sum(seq_scan), 0), coalesce(sum(seq_tup_read + idx_tup_fetch), 0)
from pg_stat_xact_user_tables where relname = 'provider_calls'
"""


@pytest.fixture
async def history(outbox: Outbox) -> Outbox:
    """Calls that are done, calls of a kind that no worker can make, and ten that are due."""
    await outbox.books.db.execute(
        "insert into fleet.provider_calls (kind, key, state, next_attempt_at)"
        " select kind, state || kind || n, state, $1::timestamptz"
        " from (values ('shop.order', 'done', $2), ('google.consume', 'pending', $2),"
        " ('shop.order', 'pending', 10)) as c (kind, state, calls)"
        " cross join generate_series(1, c.calls) as n",
        outbox.books.now,
        MANY,
    )
    await outbox.books.db.execute("analyze fleet.provider_calls")
    return outbox


async def read(books: Books) -> tuple[int, int]:
    """How often this transaction read the outbox whole, and how many of its rows."""
    row = await books.db.fetchrow(READ)
    assert row is not None
    return int(row[0]), int(row[1])


async def test_a_claim_reads_what_it_takes(history: Outbox, books: Books) -> None:
    whole, before = await read(books)
    assert len(await history.claim(KIND, limit=4)) == 4
    whole_then, after = await read(books)
    assert (whole_then, after - before < FEW) == (whole, True)


async def test_a_call_is_finished_and_failed_by_its_number(history: Outbox, books: Books) -> None:
    one, two = await history.claim(KIND, limit=2)
    whole, before = await read(books)
    await history.finish(one)
    await history.fail(two)
    await books.db.fetch("select * from fleet.answers_of_events(array[1, 2, 3])")
    whole_then, after = await read(books)
    assert (whole_then, after - before < FEW) == (whole, True)


async def test_what_is_done_is_not_counted_one_by_one(history: Outbox, books: Books) -> None:
    await books.db.execute("delete from fleet.provider_calls where kind = 'google.consume'")
    whole, before = await read(books)
    await books.db.fetch("select * from fleet.provider_call_counts()")
    whole_then, after = await read(books)
    assert (whole_then, after - before < FEW) == (whole, True)
