"""The live numbers: one poller for everybody who looks, and the last hour of events per second.

However many browsers are open, the database is asked once per period. It keeps nothing for longer
than the process runs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from db.connections.pool import expire_if_unfit
from db.console.sessions import find_ended
from db.errors import describe
from db.health.vital_signs import read_vital_signs
from workers.cli.status.health import Queue
from workers.cli.status.reading import read_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta

    from db.connections.pool import Pool
    from db.health.vital_signs import VitalSigns
    from workers.cli.status.health import FleetHealth

log = structlog.get_logger(__name__)

# While somebody looks, and while nobody does: then only the chart needs a point.
WATCHED_S = 2.0
UNWATCHED_S = 10.0
POINTS_MAX = 1_800
TIMEOUT_S = 5.0
# A browser connects anew after this, and then a proxy has to vouch for its person again.
STREAM_S = 60.0
WATCHERS_MAX = 100
# Of one session: a browser ends the stream of a tab that nobody sees.
WATCHERS_OF_SESSION_MAX = 8
# Its questions are as many as those of `coinfleet status`, and it compares the whole schema.
HEALTH_S = 15.0
FINISHED = ("applied", "ignored", "rejected", "dead")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of the fleet, or why it can't be told; `number` counts readings.

    `signs` are of now, `health` is at most HEALTH_S old.
    """

    number: int
    signs: VitalSigns | None = None
    health: FleetHealth | None = None
    outage: str = ""
    per_second: float | None = None
    """Events that were finished per second, since the reading before."""


@dataclass(frozen=True, slots=True)
class Point:
    """Events per second around a time in seconds since 1970."""

    at: float
    received: float
    finished: float


class Feed:
    """Reads how the fleet is, again and again. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        *,
        held_after: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._held_after = held_after
        self._clock = clock
        self._turn = asyncio.Lock()
        self._next = asyncio.Event()
        self._wanted = asyncio.Event()
        self._watchers: Counter[int] = Counter()
        self._ended: frozenset[int] = frozenset()
        self._is_closing = False
        self._read_at = self._judged_at = float("-inf")
        self._last_counts: tuple[float, int, int] | None = None
        self._polling: asyncio.Task[None] | None = None
        self._is_outage_told = False
        self.latest = Reading(0, outage="not asked yet")
        self.points: deque[Point] = deque(maxlen=POINTS_MAX)

    def start(self) -> None:
        """Begin to poll."""
        self._polling = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """End the poller, and each stream."""
        self.end_streams()
        if self._polling is not None:
            self._polling.cancel()
            with suppress(asyncio.CancelledError):
                await self._polling

    def end_streams(self) -> None:
        """End each stream now: the process is stopping."""
        self._is_closing = True
        self._next.set()

    async def read(self) -> Reading:
        """Return a reading that is at most WATCHED_S old."""
        async with self._turn:
            is_old = self._clock() - self._read_at >= WATCHED_S
            if is_old or self._clock() - self._judged_at >= HEALTH_S:
                await self._take(judges=True)
            return self.latest

    def is_full(self, session_id: int) -> bool:
        """Return whether as many look as may, in all or by this session."""
        return (
            self._watchers.total() >= WATCHERS_MAX
            or self._watchers[session_id] >= WATCHERS_OF_SESSION_MAX
        )

    async def watch(self, session_id: int) -> AsyncIterator[Reading]:
        """Yield each reading as it is taken, for STREAM_S.

        It ends before that when the session does, when the process stops, and at once if others
        came first.
        """
        if self.is_full(session_id):
            return
        ends_at = asyncio.get_running_loop().time() + STREAM_S
        self._watchers[session_id] += 1
        self._wanted.set()
        try:
            # Asked before each wait, too: a reading may have been taken since the streams ended.
            while not self._ends(session_id):
                following = self._next
                try:
                    async with asyncio.timeout_at(ends_at):
                        await following.wait()
                except TimeoutError:
                    return
                if self._ends(session_id):
                    return
                yield self.latest
        finally:
            self._watchers -= Counter((session_id,))
            if not self._watchers:
                self._wanted.clear()

    def _ends(self, session_id: int) -> bool:
        """Return whether a stream of this session has to end."""
        return self._is_closing or session_id in self._ended

    async def _poll(self) -> None:
        while True:
            # While nobody looks only the chart goes on; no verdict is needed.
            async with self._turn:
                await self._take(judges=bool(self._watchers))
            if self._watchers:
                await asyncio.sleep(WATCHED_S)
                continue
            # Whoever begins to look need not wait for the next period.
            with suppress(TimeoutError):
                async with asyncio.timeout(UNWATCHED_S):
                    await self._wanted.wait()

    async def _take(self, *, judges: bool) -> None:
        """Take a reading and tell those who watch. Never raises: a page says what is wrong.

        Unless it `judges`, the health is as old as it is.
        """
        number = self.latest.number + 1
        try:
            signs = await read_vital_signs(self._pool, timeout_s=TIMEOUT_S)
            health = await self._judge() if judges else self.latest.health
            if self._watchers:
                self._ended = await find_ended(self._pool, sorted(self._watchers))
            reading = Reading(number, signs, health, per_second=self._note(signs))
            if self._is_outage_told:
                self._is_outage_told = False
                log.info("fleet_read_again")
        # Whatever it is, an operator has to see it, and the next reading may be good.
        except Exception as error:  # noqa: BLE001
            await expire_if_unfit(self._pool, error)
            if not self.latest.outage:
                self._is_outage_told = True
                log.warning("fleet_not_read", reason=describe(error), then="it is asked again")
            reading = Reading(number, outage=describe(error))
        self.latest = reading
        self._read_at = self._clock()
        following, self._next = self._next, asyncio.Event()
        following.set()

    async def _judge(self) -> FleetHealth | None:
        """Return the health as `coinfleet status` would say it, at most HEALTH_S old."""
        known = self.latest.health
        if known is not None and self._clock() - self._judged_at < HEALTH_S:
            return known
        found = await read_database(
            self._pool,
            Queue(reachable=None, waiting=None),
            held_after=self._held_after,
            timeout_s=TIMEOUT_S,
        )
        self._judged_at = self._clock()
        return found

    def _note(self, signs: VitalSigns) -> float | None:
        """Add a point to the chart; return how many events per second were finished."""
        now = self._clock()
        received = sum(count.events for count in signs.events)
        finished = sum(signs.count(state) for state in FINISHED)
        before, self._last_counts = self._last_counts, (now, received, finished)
        if before is None or now <= before[0]:
            return None
        elapsed_s = now - before[0]
        per_second = max(finished - before[2], 0) / elapsed_s
        self.points.append(Point(time.time(), max(received - before[1], 0) / elapsed_s, per_second))
        return per_second
