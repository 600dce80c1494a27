"""A load: events sent and checked as `coinfleet simulate` does, while a test breaks things."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from rich.progress import Progress

from db.connections.pool import open_pool
from tests.conditions import eventually
from tests.workers.cli.simulate.plans import SECRETS
from workers.cli.simulate.delivery import deliver_one
from workers.cli.simulate.http import Address, Connection
from workers.cli.simulate.run import Options, Run, prepare_plan
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from db.connections.pool import Pool
    from workers.cli.simulate.plan import Plan, PlannedEvent


CONNECTIONS = 24
# A load sends so many events more than its test waits for, so that some are always under way. It
# doesn't send all at once: on a slow machine, too, some are left for the rest of the test.
AHEAD = 60


class Load(Run):
    """A simulated run in progress. Each of the receivers gets all of its events."""

    def __init__(self, pool: Pool, plan: Plan, options: Options, ports: Sequence[int]) -> None:
        self._addresses = [Address("127.0.0.1", port) for port in ports]
        super().__init__(
            pool, plan, options, address=self._addresses[0], signing=SECRETS, after_id=0
        )
        self._progress = Progress(disable=True)
        self._permits = asyncio.Semaphore(0)
        self._allowed = 0
        self._allow(AHEAD)
        self._playing = asyncio.create_task(self.deliver_all(self._progress))

    @property
    def acknowledged(self) -> frozenset[str]:
        """The events that were answered 2xx so far."""
        return frozenset(self._deliveries.acknowledged)

    async def wait_for_more(self, deliveries: int) -> None:
        """Wait until so many more are acknowledged; others are under way then."""
        wanted = self._deliveries.delivered + deliveries
        self._allow(wanted + AHEAD)

        async def has_come() -> bool:
            assert not self._playing.done(), "the load is too small for this test"
            return self._deliveries.delivered >= wanted

        await eventually(has_come)

    async def finish(self) -> None:
        """Send the rest, wait until all events are settled, check balances and invariants."""
        self._allow(len(self._plan) * self._options.duplicates * len(self._addresses))
        await self._playing
        findings = await self.read_back(self._progress)
        assert findings.breaches == []

    async def read_from(self, database_url: str) -> None:
        """Read results from this address from now on, because the database has moved."""
        self._pool.terminate()
        self._pool = await _open(database_url)

    async def stop(self) -> None:
        """Send no more."""
        self._playing.cancel()
        with suppress(asyncio.CancelledError):
            await self._playing
        self._pool.terminate()

    def _allow(self, deliveries: int) -> None:
        """Allow so many deliveries, counted from the beginning."""
        while self._allowed < deliveries:
            self._allowed += 1
            self._permits.release()

    async def _deliver(self, events: Sequence[PlannedEvent], _title: str, _bars: Progress) -> None:
        async with asyncio.TaskGroup() as tasks:
            for address in self._addresses:
                queue = iter(events)
                for _ in range(CONNECTIONS):
                    tasks.create_task(self._send(queue, Connection(address)))

    async def _send(self, queue: Iterator[PlannedEvent], connection: Connection) -> None:
        try:
            for event in queue:
                await self._permits.acquire()
                await deliver_one(event, connection, self._signing, self._deliveries)
        finally:
            connection.close()


@asynccontextmanager
async def loaded(database_url: str, *ports: int, events: int, seed: int = 1) -> AsyncIterator[Load]:
    """Send so many events to these receivers, twice and in any order, while the block runs."""
    options = Options(events=events, rate_per_s=None, seed=seed, duplicates=2, shuffle=True)
    pool = await _open(database_url)
    load = Load(pool, await prepare_plan(pool, Settings(), options), options, ports)
    try:
        yield load
    finally:
        await load.stop()


async def _open(database_url: str) -> Pool:
    # It keeps no idle connection: asyncpg would log that it lost one.
    return await open_pool(database_url, application_name="load", min_size=0, max_size=2)
