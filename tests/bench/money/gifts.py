"""Rows 11 to 13: gifts against the least that writes their rows, and one gift alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from db.inbox.claims import Inbox
from tests.bench.apply import (
    BATCH_SIZE,
    CALLERS,
    CALLS,
    GIFTS,
    apply_gifts,
    call_process_gift,
    callers,
    interpret,
)
from tests.bench.books import GIFT_COST, GIFT_SHARE, GIFT_TYPE
from tests.bench.measurements import Budget, Row, interleave

if TYPE_CHECKING:
    from tests.bench.books import Books

FLOORS = Path(__file__).with_name("floors.sql")
# Its function that gives one.
MINIMAL = "floors.give"
ALONE = 400


async def make_floors(books: Books) -> None:
    """Make the functions of floors.sql."""
    await books.owner.execute(FLOORS.read_text(encoding="utf-8"))


async def write_gifts(books: Books, *, count: int, batch_size: int) -> float:
    """Store `count` gifts, then write what applying them leaves, batch by batch; µs per event."""
    await books.receive([books.gift() for _ in range(count)])
    await books.vacuum()
    stored = await books.owner.fetch(
        "select e.id, e.provider_event_id, d.sender_id::uuid, d.recipient_id::uuid"
        " from fleet.inbox_events as e"
        " cross join jsonb_to_record(convert_from(e.payload, 'utf8')::jsonb -> 'data')"
        " as d (sender_id text, recipient_id text)"
        " where e.state = 'pending' order by e.id"
    )
    assert len(stored) == count, "events are missing"
    started = time.perf_counter()
    for start in range(0, count, batch_size):
        columns = zip(*stored[start : start + batch_size], strict=True)
        await books.owner.execute(
            "select floors.write_gifts($1, $2, $3, $4, $5, $6, $7)",
            *map(list, columns),
            GIFT_TYPE,
            GIFT_COST,
            GIFT_SHARE,
        )
    return (time.perf_counter() - started) / count * 1e6


async def measure_calls(books: Books, *, pairs: int) -> Row:
    """Compare `process_gift` with the minimal function."""
    async with callers(books) as pool:

        async def ours() -> float:
            return 1e6 / await call_process_gift(books, pool, count=CALLS)

        async def floor() -> float:
            return 1e6 / await call_process_gift(books, pool, count=CALLS, function=MINIMAL)

        rates = await interleave(ours, floor, pairs=pairs)
    return Row.of_ratio(
        11,
        f"process_gift by {CALLERS} callers, against a function that only writes the rows",
        rates,
        budget=Budget(0.75),
        unit="/s",
    )


async def measure_batches(books: Books, *, pairs: int) -> Row:
    """Compare batches of gifts with plain set-based statements that write the same rows."""
    costs = await interleave(
        lambda: apply_gifts(books, count=GIFTS, batch_size=BATCH_SIZE),
        lambda: write_gifts(books, count=GIFTS, batch_size=BATCH_SIZE),
        pairs=pairs,
    )
    return Row.of_ratio(
        12,
        f"gifts in batches of {BATCH_SIZE}, against statements that only write the rows",
        costs,
        budget=Budget(1.5, at_most=True),
        unit="µs",
    )


async def measure_alone(books: Books, *, count: int = ALONE) -> Row:
    """Measure the processor time of batches with one gift: the worker's and its session's."""
    await books.receive([books.gift() for _ in range(count + 1)])
    await books.vacuum()
    inbox = Inbox(books.worker, worker="bench")
    # The first one opens the session and makes its plans.
    await inbox.process_batch(interpret, limit=1)
    before = await _processor_s(books)
    for _ in range(count):
        result = await inbox.process_batch(interpret, limit=1)
        assert [outcome.state for outcome in result.outcomes] == ["applied"]
    ms = (await _processor_s(books) - before) / count * 1e3
    return Row(
        13,
        "one gift alone, claim to commit: processor time of worker and session",
        ms,
        Budget(2.0, at_most=True, unit="ms"),
        ours=f"{ms:.2f} ms",
    )


async def _processor_s(books: Books) -> float:
    sessions = await books.owner.fetch(
        "select pid from pg_stat_activity"
        " where application_name = 'bench worker' and datname = current_database()"
    )
    times = [psutil.Process(pid).cpu_times() for (pid,) in sessions]
    return time.process_time() + sum(each.user + each.system for each in times)
