"""Group commit: whatever arrived while the last inserts were in flight is stored by the next one.

A lone arrival waits for nobody; under load batches grow, and the cost of an arrival falls. Refuses
to keep anyone waiting for longer than a deadline, or more of them than it has room for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Protocol, TypeAlias

import structlog

from db.connections.pool import result_or_abandon
from db.errors import CoinfleetError, DatabaseUnavailable, describe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from db.inbox import Arrival, Stored
    from workers.outage import Outage

log = structlog.get_logger(__name__)

# While one insert waits for the disk, the database takes the next: a quarter more a second than
# with one alone, and nobody waits behind a lone arrival.
IN_FLIGHT_MAX = 2
# Past a few hundred rows a statement saves nothing more, and its first arrival waits for its last.
BATCH_MAX = 500
# At 3,000 arrivals a second, what a second brings; more could not be stored within the deadline.
WAITING_MAX = 4_000
# A full waiting list of the largest bodies would be a gigabyte.
WAITING_BYTES_MAX = 32 * 1024 * 1024
# Providers hang up after ten seconds or more; an answer after five still reaches them.
DEADLINE_S = 5.0
# How far an answer may be later than the deadline.
DEADLINE_CHECK_S = 0.1
# The server has let its requests end before; what is left then waits for a store that hangs.
CLOSE_TIMEOUT_S = 0.5
# A restarted database leaves a dead connection or two, and takes new ones at once. Storing twice is
# harmless: the second finds what the first did.
RETRY_PAUSES_S = (0.05, 0.2)
# What so many single rows fail of is no row's fault; the rest of the batch isn't tried any more.
CULPRITS_MAX = 8
# What an outage stops here.
STORING = "storing"

Store: TypeAlias = "Callable[[Sequence[Arrival]], Awaitable[Sequence[Stored]]]"


class NotStored(CoinfleetError):
    """The arrival could not be stored in time; whoever sent it must send it again."""


class Observer(Protocol):
    """Hears of each batch that was stored, in `seconds`, new events or not."""

    def __call__(self, batch: Sequence[Stored], *, seconds: float) -> None:  # noqa: D102
        ...


@dataclass(slots=True, eq=False)
class _Waiter:
    arrival: Arrival
    expires_at: float
    answer: asyncio.Future[Stored | None]


class Intake:
    """Stores arrivals for any number of concurrent callers, in a batch or two at a time.

    `store` returns one answer per arrival, in order, or raises, having stored none:
    DatabaseUnavailable when it may work later. Belongs to the loop that calls `start`.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_stored: Observer,
        outage: Outage,
        in_flight_max: int = IN_FLIGHT_MAX,
        batch_max: int = BATCH_MAX,
        waiting_max: int = WAITING_MAX,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._store = store
        self._on_stored = on_stored
        self._outage = outage
        self._in_flight_max = in_flight_max
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._waiting: deque[_Waiter] = deque()
        self._waiting_bytes = 0
        self._in_flight: list[Sequence[_Waiter]] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._is_failing = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many arrivals wait for an insert in flight to end."""
        return len(self._waiting)

    @property
    def is_failing(self) -> bool:
        """Whether the last batch could not be stored, and not for what it holds."""
        return self._is_failing

    def start(self) -> None:
        """Begin to store what arrives."""
        loop = asyncio.get_running_loop()
        self._tasks = {loop.create_task(self._write()) for _ in range(self._in_flight_max)}
        self._tasks.add(loop.create_task(self._enforce_deadline()))

    def shorten_deadline(self, within_s: float) -> None:
        """Let no caller wait for longer than this from now on: the process is about to stop."""
        self._deadline_s = min(self._deadline_s, within_s)
        expires_at = asyncio.get_running_loop().time() + within_s
        for waiter in chain(*self._in_flight, self._waiting):
            waiter.expires_at = min(waiter.expires_at, expires_at)

    async def close(self) -> None:
        """Take nothing more, store what is waiting, and end; refuse it if that takes too long."""
        self._closing = True
        self._arrived.set()
        await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _refuse(chain(*self._in_flight, self._waiting))

    async def put(self, arrival: Arrival) -> Stored:
        """Store an arrival; it is committed when this returns. Raises NotStored.

        A caller that is cancelled leaves the others of its batch alone.
        """
        size = len(arrival.payload)
        if (
            self._closing
            or len(self._waiting) >= self._waiting_max
            or self._waiting_bytes + size > WAITING_BYTES_MAX
        ):
            raise NotStored
        loop = asyncio.get_running_loop()
        waiter = _Waiter(arrival, loop.time() + self._deadline_s, loop.create_future())
        self._waiting.append(waiter)
        self._waiting_bytes += size
        self._arrived.set()
        answer = await waiter.answer
        if answer is None:
            raise NotStored
        return answer

    async def _write(self) -> None:
        while True:
            batch = self._take_batch()
            if not batch:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            self._in_flight.append(batch)
            try:
                await self._store_batch(batch)
            # The edge of the process: a bug in here must not stop all that comes after.
            except Exception as error:  # noqa: BLE001
                log.error("batch_not_stored", error=type(error).__name__)  # noqa: TRY400
            finally:
                _refuse(batch)  # whoever has no answer yet
                self._in_flight.remove(batch)

    def _take_batch(self) -> list[_Waiter]:
        """Take the oldest who still wait; nobody was told that the others are stored."""
        batch: list[_Waiter] = []
        while self._waiting and len(batch) < self._batch_max:
            waiter = self._waiting.popleft()
            self._waiting_bytes -= len(waiter.arrival.payload)
            if not waiter.answer.done():
                batch.append(waiter)
        return batch

    async def _store_batch(self, batch: Sequence[_Waiter]) -> None:
        """Store a batch and answer each of it; a row that can't be stored is found by halving."""
        pieces = [batch]
        culprits = 0
        while pieces:
            piece = pieces.pop()
            started_at = asyncio.get_running_loop().time()
            try:
                answers = await self._persist([waiter.arrival for waiter in piece])
            except (DatabaseUnavailable, TimeoutError) as error:
                self._is_failing = True
                self._outage.begin(STORING, reason=describe(error))
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be one row's
                if len(piece) > 1:
                    pieces += [piece[len(piece) // 2 :], piece[: len(piece) // 2]]
                    continue
                # The text of an error of asyncpg may quote the row, so only its class is told.
                log.error("arrival_not_stored", error=type(error).__name__)  # noqa: TRY400
                culprits += 1
                if culprits == CULPRITS_MAX:
                    break
            else:
                self._is_failing = False
                self._outage.end(STORING)
                _answer(piece, answers)
                self._on_stored(answers, seconds=asyncio.get_running_loop().time() - started_at)

    async def _persist(self, arrivals: Sequence[Arrival]) -> Sequence[Stored]:
        for pause_s in RETRY_PAUSES_S:
            try:
                return await result_or_abandon(self._store(arrivals), after_s=self._deadline_s)
            except DatabaseUnavailable:
                await asyncio.sleep(pause_s)
        return await result_or_abandon(self._store(arrivals), after_s=self._deadline_s)

    async def _enforce_deadline(self) -> None:
        """Answer those whose time is up, also while the store hangs."""
        loop = asyncio.get_running_loop()
        while not (self._closing and not self._waiting and not self._in_flight):
            await asyncio.sleep(DEADLINE_CHECK_S)
            for waiters in (*self._in_flight, self._waiting):  # each with its oldest first
                _refuse_expired(waiters, now=loop.time())


def _answer(batch: Sequence[_Waiter], answers: Sequence[Stored]) -> None:
    for waiter, answer in zip(batch, answers, strict=True):
        if not waiter.answer.done():
            waiter.answer.set_result(answer)


def _refuse(batch: Iterable[_Waiter]) -> None:
    for waiter in batch:
        if not waiter.answer.done():
            waiter.answer.set_result(None)


def _refuse_expired(waiters: Iterable[_Waiter], *, now: float) -> None:
    """Refuse those whose time is up; the oldest stand first."""
    _refuse(takewhile(lambda waiter: waiter.expires_at <= now, waiters))
