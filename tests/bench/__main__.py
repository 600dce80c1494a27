"""`make bench`, or `python -m tests.bench [--quick | --long] [--only PART]`: measures and prints.

It is no test: it fails if something that it measures does its work wrongly, not if it is slow.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import uvloop
from rich.console import Console

from tests.bench import apply, fleets, memory, presence, receiving, report, verification
from tests.bench.books import USERS
from tests.bench.money import gifts, history, refunds
from tests.bench.servers import open_servers

if TYPE_CHECKING:
    from tests.bench.apply import Point
    from tests.bench.books import Books
    from tests.bench.measurements import Row
    from tests.bench.servers import Servers

PAIRS = 5
# Methods of Run, and choices of --only.
PARTS = ("apply", "money", "receiving", "fleets", "presence", "verification")


class Run:
    """One run: what was measured so far, and where the results are written."""

    def __init__(
        self, servers: Servers, folder: Path, *, quick: bool = False, long: bool = False
    ) -> None:
        self.rows: list[Row] = []
        self.points: list[Point] = []
        self.call_us = 0.0
        self._servers = servers
        self._log = folder / "processes.log"
        self._quick = quick
        self._pairs = 1 if quick else PAIRS
        self._entries = history.ENTRIES_LONG if long else history.ENTRIES // (50 if quick else 1)

    async def receiving(self) -> None:
        """Row 1."""
        async with self._servers.books(users=USERS) as books:
            environment = self._servers.environment(books)
            self.rows += await receiving.measure(
                books, environment, pairs=self._pairs, log=self._log
            )

    async def fleets(self) -> None:
        """Rows 2, 6 and 8; each fleet has a database and a queue of its own on the same servers."""
        async with AsyncExitStack() as stack:
            books = await stack.enter_async_context(self._servers.books(users=USERS))
            environment = self._servers.environment(books)
            ours = await stack.enter_async_context(
                fleets.our_fleet(books, environment, log=self._log)
            )
            async with self._servers.books(users=USERS) as others:
                environment = self._servers.environment(others)
                async with fleets.textbook_fleet(others, environment, log=self._log) as textbook:
                    self.rows.append(
                        await fleets.measure_under_load(ours, textbook, pairs=self._pairs)
                    )
            part = 10 if self._quick else 1
            self.rows += await fleets.measure_light_load(ours, count=fleets.LIGHT_EVENTS // part)
            self.rows += await memory.measure(ours, count=memory.EVENTS // part)
            await _check(books)

    async def apply(self) -> None:
        """Rows 3 and 4, and the points of the plot."""
        async with self._servers.books(users=USERS) as books:
            self.rows.append(await apply.measure_batches(books, pairs=self._pairs))
            self.rows.append(await apply.measure_hot_account(books, pairs=self._pairs))
            sizes = apply.BATCH_SIZES[::4] if self._quick else apply.BATCH_SIZES
            self.points = await apply.sweep_batch_sizes(books, sizes=sizes)
            async with apply.callers(books) as pool:
                calls = [await apply.call_process_gift(books, pool, count=500) for _ in range(3)]
            self.call_us = median(calls)
            await _check(books)

    async def money(self) -> None:
        """Rows 11 to 15."""
        async with self._servers.books(users=USERS) as books:
            await gifts.make_floors(books)
            self.rows.append(await gifts.measure_calls(books, pairs=self._pairs))
            self.rows.append(await gifts.measure_batches(books, pairs=self._pairs))
            self.rows.append(await gifts.measure_alone(books))
            self.rows.append(await refunds.measure(books, pairs=self._pairs))
            await _check(books)
        async with AsyncExitStack() as stack:
            old = await stack.enter_async_context(self._servers.books(users=USERS))
            young = await stack.enter_async_context(self._servers.books(users=USERS))
            self.rows.append(
                await history.measure(old, young, pairs=self._pairs, entries=self._entries)
            )
            await _check(old)

    async def presence(self) -> None:
        """Row 7."""
        async with self._servers.database() as database:
            # A tenth of the size is enough to see whether it runs.
            size = 10 if self._quick else 1
            self.rows += await presence.measure(
                database,
                pairs=self._pairs,
                streams=presence.STREAMS // size,
                viewers=presence.VIEWERS // size,
            )

    async def verification(self) -> None:
        """Row 9."""
        self.rows += await verification.measure(pairs=self._pairs)


async def _check(books: Books) -> None:
    breaches = await books.breaches()
    assert not breaches, f"the books are wrong: {breaches}"


async def measure(run: Run, servers: Servers, folder: Path, *, only: set[str]) -> None:
    """Measure, then print and write what was found."""
    # Wide enough for one line per row if no terminal says how wide it is.
    console = Console(width=None if sys.stdout.isatty() else 140)
    for name in PARTS:
        if not only or name in only:
            console.print(f"measuring: {name} ...")
            await getattr(run, name)()
    await servers.close()
    rows = sorted(run.rows, key=lambda row: row.number)
    console.print(report.table(rows))
    report.write_numbers(folder / "bench.json", rows, run.points)
    if run.points:
        plot = folder / "cost_per_event.svg"
        report.draw_cost_per_event(plot, run.points, call_us=run.call_us)
        console.print(f"plot: {plot}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="one pair each: does it run at all?")
    extent.add_argument(
        "--long", action="store_true", help="a history of 10 million ledger entries, not of one"
    )
    parser.add_argument("--only", action="append", choices=PARTS)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("COINFLEET_DATA_DIR", ".coinfleet")) / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with open_servers(folder.resolve()) as servers:
        run = Run(servers, folder, quick=arguments.quick, long=arguments.long)
        uvloop.run(measure(run, servers, folder, only=set(arguments.only or ())))


if __name__ == "__main__":
    main()
