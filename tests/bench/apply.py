"""Rows 3 and 4: gifts applied in batches, against calls with one gift, and on a hot account.

The time is that of a worker's whole batch, from claim to commit, without storing the events.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from db.connections.pool import open_pool
from db.inbox.claims import Inbox
from tests.bench.books import GIFT_TYPE, PROVIDERS
from tests.bench.measurements import Budget, Row, interleave

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from db.connections.pool import Pool
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tests.bench.books import Books

GIFTS = 5_000
CALLS = 2_000
BATCH_SIZE = 500
HOT_BATCH_SIZE = 1_000
CALLERS = 8
BATCH_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000)


@dataclass(frozen=True, slots=True)
class Point:
    """What one event costs in batches of one size, on one streamer's account or on many."""

    batch_size: int
    hot: bool
    us: float


async def apply_gifts(books: Books, *, count: int, batch_size: int, hot: bool = False) -> float:
    """Store `count` gifts, then apply them in batches on one connection; return µs per event."""
    recipient = books.users[0] if hot else None
    await books.receive([books.gift(recipient=recipient) for _ in range(count)])
    await books.vacuum()
    inbox = Inbox(books.worker, worker="bench")
    applied = 0
    started = time.perf_counter()
    while applied < count:
        result = await inbox.process_batch(interpret, limit=batch_size)
        assert result.claimed, "events are missing"
        applied += sum(outcome.state == "applied" for outcome in result.outcomes)
    return (time.perf_counter() - started) / count * 1e6


def interpret(event: ClaimedEvent) -> Fact:
    """Read an event as a worker does."""
    return PROVIDERS[event.provider].interpret(event)


@asynccontextmanager
async def callers(books: Books) -> AsyncIterator[Pool]:
    """Connections for calls of `process_gift`, as many as an API would keep."""
    pool = await open_pool(
        books.database.url(), application_name="bench calls", max_size=CALLERS, min_size=CALLERS
    )
    yield pool
    pool.terminate()


async def call_process_gift(
    books: Books, pool: Pool, *, count: int, function: str = "public.process_gift"
) -> float:
    """Send `count` gifts by `process_gift` or another, one per transaction; return µs per event."""
    gifts = iter([books.random.sample(books.users, 2) for _ in range(count)])

    async def send() -> None:
        async with pool.acquire() as connection:
            for sender, recipient in gifts:
                await connection.fetchrow(
                    f"select set_config('request.jwt.claims', $1, false), {function}($2, $3, $4)",
                    json.dumps({"sub": str(sender)}),
                    recipient,
                    GIFT_TYPE,
                    uuid4().hex,
                )

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(CALLERS)))
    return (time.perf_counter() - started) / count * 1e6


async def measure_batches(books: Books, *, pairs: int) -> Row:
    """Compare batches of 500 with calls with one gift each."""

    async def apply() -> float:
        return 1e6 / await apply_gifts(books, count=GIFTS, batch_size=BATCH_SIZE)

    async with callers(books) as pool:

        async def call() -> float:
            return 1e6 / await call_process_gift(books, pool, count=CALLS)

        rates = await interleave(apply, call, pairs=pairs)
    return Row.of_ratio(
        3,
        f"gifts in batches of {BATCH_SIZE}, against process_gift by {CALLERS} callers",
        rates,
        budget=Budget(4.0),
        unit="/s",
    )


async def measure_hot_account(books: Books, *, pairs: int) -> Row:
    """Compare gifts to one streamer with gifts to many."""

    async def apply(*, hot: bool) -> float:
        return await apply_gifts(books, count=GIFTS, batch_size=HOT_BATCH_SIZE, hot=hot)

    costs = await interleave(lambda: apply(hot=True), lambda: apply(hot=False), pairs=pairs)
    return Row.of_ratio(
        4,
        f"gifts to one streamer, against gifts to anybody, batches of {HOT_BATCH_SIZE:,}",
        costs,
        budget=Budget(1.3, at_most=True),
        unit="µs",
    )


async def sweep_batch_sizes(
    books: Books, *, sizes: Iterable[int] = BATCH_SIZES, gifts: int = GIFTS
) -> list[Point]:
    """Measure what an event costs at each size, hot and cold in turn."""
    points = []
    for batch_size in sizes:
        # A batch of one takes a few ms, so a hundred are enough.
        count = max(100, min(gifts, 4 * batch_size))
        for hot in (False, True):
            us = await apply_gifts(books, count=count, batch_size=batch_size, hot=hot)
            points.append(Point(batch_size, hot, us))
    return points
