"""Rows 3 and 4: what it costs to apply gifts in batches, against calls of one, and on a hot account.

The whole of a worker's batch is timed, from claim to commit; storing the events is not.
"""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median
from typing import TYPE_CHECKING
from uuid import uuid4

from db.inbox import Inbox
from db.pool import open_pool
from tasks.providers import PROVIDERS
from tests.bench.books import GIFT_TYPE
from tests.bench.measurements import Budget, Row, interleave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.facts import Fact
    from db.inbox import ClaimedEvent
    from db.pool import Pool
    from tests.bench.books import Books

BATCH_SIZE = 500
HOT_BATCH_SIZE = 1_000
CONNECTIONS = 8


async def apply_gifts(books: Books, *, count: int, batch_size: int, hot: bool = False) -> float:
    """Store `count` gifts, then apply them in batches; gives µs an event."""
    recipient = books.users[0] if hot else None
    await books.receive(books.gifts(count, recipient=recipient))
    inbox = Inbox(books.worker, worker="bench")
    applied = 0
    started = time.perf_counter()
    while applied < count:
        result = await inbox.process_batch(_interpret, limit=batch_size)
        assert result.claimed, "events vanished"
        applied += result.claimed
    return (time.perf_counter() - started) / count * 1e6


async def call_process_gift(books: Books, pool: Pool, *, count: int) -> float:
    """Send `count` gifts by `process_gift`, one a transaction, from all connections at once."""
    gifts = [books.random.sample(books.users, 2) for _ in range(count)]
    waiting = iter(gifts)

    async def send() -> None:
        async with pool.acquire() as connection:
            for sender, recipient in waiting:
                await connection.fetchrow(
                    "select set_config('request.jwt.claims', $1, false)"
                    ", public.process_gift($2, $3, $4)",
                    json.dumps({"sub": str(sender)}),
                    recipient,
                    GIFT_TYPE,
                    uuid4().hex,
                )

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return (time.perf_counter() - started) / count * 1e6


def _interpret(event: ClaimedEvent) -> Fact:
    return PROVIDERS[event.provider].interpret(event, livemode=False)
