"""Row 1: webhooks stored and acknowledged, against one insert each and against no database."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.bench.load import deliver
from tests.bench.measurements import Budget, Row, interleave
from tests.bench.processes import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.books import Books
    from tests.bench.measurements import Sample

# The reference is slower: it needs as long for fewer requests.
REQUESTS = 6_000
INSERTS = 2_000


async def receive(books: Books, port: int, *, count: int) -> float:
    """Deliver `count` purchases; return how many were acknowledged per second."""
    requests = [books.purchase().request for _ in range(count)]
    delivered = await deliver(port, requests)
    assert delivered.acknowledged == count, delivered.statuses
    return delivered.acknowledged / delivered.seconds


async def measure(books: Books, environment: dict[str, str], *, pairs: int, log: Path) -> list[Row]:
    """Measure web, and the same server with two other ways to store."""
    async with AsyncExitStack() as stack:
        run = stack.enter_async_context
        ours, _ = await run(serving("workers.webhooks", environment, log=log))
        inserts, _ = await run(serving("tests.bench.webs", environment, log=log))
        no_database = environment | {"BENCH_WITHOUT_DATABASE": "1"}
        answers, _ = await run(serving("tests.bench.webs", no_database, log=log))

        def sample(port: int, count: int) -> Sample:
            return lambda: receive(books, port, count=count)

        for port in (ours, inserts, answers):
            await receive(books, port, count=500)
        against_inserts = await interleave(
            sample(ours, REQUESTS), sample(inserts, INSERTS), pairs=pairs
        )
        against_answers = await interleave(
            sample(ours, REQUESTS), sample(answers, REQUESTS), pairs=pairs
        )
    return [
        Row.of_ratio(
            1,
            "webhooks stored and acknowledged, against an insert each",
            against_inserts,
            budget=Budget(2.0),
            unit="/s",
        ),
        Row.of_ratio(
            1,
            "webhooks stored and acknowledged, against no database",
            against_answers,
            budget=Budget(0.6),
            unit="/s",
        ),
    ]
