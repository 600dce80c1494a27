"""Rows 2 and 6: webhooks received and applied by a whole fleet, under load and one at a time."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from tests.bench.load import deliver
from tests.bench.measurements import Budget, Row, interleave
from tests.bench.processes import running, serving
from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bench.books import Books
    from tests.bench.processes import Serving
    from workers.cli.simulate.events import Webhook

EVENTS = 12_000
TEXTBOOK_EVENTS = 2_000
WARM_UP_EVENTS = 500
LIGHT_EVENTS = 300

_FILL_TEXTBOOK = """
insert into textbook.profiles (id, coin_balance)
select id, coin_balance from public.profiles;
insert into textbook.coin_packages
select sku, coin_amount, amount_minor, currency from public.coin_packages;
insert into textbook.gift_types
select code, coin_cost, streamer_share_bps from public.gift_types;
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A web and a worker process on their own database, and the table of their events."""

    books: Books
    web: Serving
    worker_pid: int
    events: str
    state: str

    async def count(self, state: str) -> int:
        """Count the events in a state."""
        sql = f"select count(*) from {self.events} where {self.state} = $1"
        count: int = await self.books.owner.fetchval(sql, state)
        return count

    async def _is_idle(self) -> bool:
        # Read by the index of pending events, which both sides have.
        sql = f"select not exists (select from {self.events} where {self.state} = 'pending')"
        return bool(await self.books.owner.fetchval(sql))

    async def receive_and_apply(self, *, count: int) -> float:
        """Deliver as many purchases as gifts; return how many were applied per second."""
        books = self.books
        webhooks = [(books.purchase, books.gift)[number % 2]() for number in range(count)]
        requests = [webhook.request for webhook in webhooks]
        before = await self.count("applied")
        started = time.perf_counter()
        delivered = await deliver(self.web.port, requests)
        assert delivered.acknowledged == count, delivered.statuses
        await eventually(self._is_idle)
        seconds = time.perf_counter() - started
        assert await self.count("applied") - before == count, "some were received, not applied"
        return count / seconds


@asynccontextmanager
async def our_fleet(
    books: Books, environment: dict[str, str], *, log: Path
) -> AsyncIterator[Fleet]:
    """Web, worker and scheduler as in production."""
    async with AsyncExitStack() as stack:
        worker = stack.enter_context(running("workers.consumer", environment, log=log))
        stack.enter_context(running("workers.scheduler", environment, log=log))
        web = serving("workers.webhooks", environment, log=log)
        served = await stack.enter_async_context(web)
        yield Fleet(books, served, worker, "fleet.inbox_events", "state")


@asynccontextmanager
async def textbook_fleet(
    books: Books, environment: dict[str, str], *, log: Path
) -> AsyncIterator[Fleet]:
    """The textbook's web and worker, on their own tables with the same users and prices."""
    schema = Path(__file__).parent / "textbook" / "schema.sql"
    await books.owner.execute(schema.read_text() + _FILL_TEXTBOOK)
    async with AsyncExitStack() as stack:
        worker = stack.enter_context(running("tests.bench.textbook.worker", environment, log=log))
        web = serving("tests.bench.textbook.web", environment, log=log)
        served = await stack.enter_async_context(web)
        yield Fleet(books, served, worker, "textbook.events", "status")


async def measure_under_load(ours: Fleet, textbook: Fleet, *, pairs: int) -> Row:
    """Compare two fleets, each with one web process and one worker process."""
    for fleet in (ours, textbook):
        await fleet.receive_and_apply(count=WARM_UP_EVENTS)
    rates = await interleave(
        lambda: ours.receive_and_apply(count=EVENTS),
        lambda: textbook.receive_and_apply(count=TEXTBOOK_EVENTS),
        pairs=pairs,
    )
    return Row.of_ratio(
        2,
        "webhooks received and applied, against one at a time",
        rates,
        budget=Budget(8.0),
        unit="/s",
    )


async def measure_light_load(fleet: Fleet, *, count: int = LIGHT_EVENTS) -> list[Row]:
    """Time single purchases from their request to the balance, about ten per second."""
    times_ms = []
    for _ in range(count):
        # Not in step with what the fleet does at fixed intervals.
        await asyncio.sleep(fleet.books.random.uniform(0.02, 0.12))
        times_ms.append(await _until_credited(fleet))
    p50, p99 = median(times_ms), quantiles(times_ms, n=100, method="inclusive")[98]
    return [
        Row(
            6, "webhook to balance under light load: p50", p50, Budget(60, at_most=True, unit="ms")
        ),
        Row(
            6, "webhook to balance under light load: p99", p99, Budget(300, at_most=True, unit="ms")
        ),
    ]


async def _until_credited(fleet: Fleet) -> float:
    books = fleet.books
    buyer = books.random.choice(books.users)
    purchase: Webhook = books.purchase(books.payment(buyer=buyer))
    total = "select total_purchased from public.profiles where id = $1"
    before = await books.owner.fetchval(total, buyer)
    started = time.perf_counter()
    delivered = await deliver(fleet.web.port, [purchase.request])
    assert delivered.acknowledged == 1, delivered.statuses

    async def is_credited() -> bool:
        return bool(await books.owner.fetchval(total, buyer) != before)

    await eventually(is_credited, poll_s=0.001)
    return (time.perf_counter() - started) * 1_000
