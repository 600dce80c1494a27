"""Group commit: all that arrives while the last inserts are in flight is stored by the next one.

A single arrival is stored at once; under load batches grow, and the cost per arrival falls. Refuses
to let a caller wait for longer than a deadline, or to let more callers wait than its bounds allow.
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

    from db.inbox.arrivals import Arrival, Stored
    from workers.outage import Outage

log = structlog.get_logger(__name__)

# While one insert waits for the disk, the database works on the next. That stores a quarter more
# per second than one at a time, and nobody waits behind a single arrival.
IN_FLIGHT_MAX = 2
# Above a few hundred rows a statement saves nothing more, and its first arrival waits for its last.
BATCH_MAX = 500
# More than arrive in one second at 3,000 per second; beyond that the deadline could not be kept.
WAITING_MAX = 4_000
# Without it a full waiting list of the largest bodies would use a gigabyte.
WAITING_BYTES_MAX = 32 * 1024 * 1024
# Providers wait for an answer for ten seconds or more.
DEADLINE_S = 5.0
# An answer may be later than the deadline by this much.
DEADLINE_CHECK_S = 0.1
# The server has ended its requests before; what is left waits for an insert that hangs.
CLOSE_TIMEOUT_S = 0.5
# After a restart of the database one or two connections are dead, and new ones work at once. To
# store twice does no harm: the second insert finds what the first one stored.
RETRY_PAUSES_S = (0.05, 0.2)
# If so many single rows fail, the fault is not in the rows: the rest of the batch is not tried.
FAILED_ROWS_MAX = 8
# What an outage stops here.
STORING = "storing"

Store: TypeAlias = "Callable[[Sequence[Arrival]], Awaitable[Sequence[Stored]]]"


class NotStored(CoinfleetError):
    """The arrival could not be stored in time; its sender must send it again."""


class Observer(Protocol):
    """Is called after each batch that was stored, with the time that it took."""

    def __call__(self, batch: Sequence[Stored], *, seconds: float) -> None:  # noqa: D102
        ...


@dataclass(slots=True, eq=False)
class _Waiter:
    arrival: Arrival
    expires_at: float
    answer: asyncio.Future[Stored | None]


class Intake:
    """Stores arrivals for any number of concurrent callers, one or two batches at a time.

    `store` returns one answer per arrival, in their order, or stores none and raises:
    DatabaseUnavailable if it may work later. `on_stored` is called after each batch. Belongs to the
    event loop that calls `start`. A caller does no more than this:

        stored = await intake.put(arrival)  # committed now, or NotStored was raised
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
        mark: Callable[[Arrival], Arrival] | None = None,
    ) -> None:
        """`mark` adds to an arrival the span in which it came, where that is traced."""
        self._store = store
        self._on_stored = on_stored
        self._outage = outage
        self._in_flight_max = in_flight_max
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._mark = mark
        self._waiting: deque[_Waiter] = deque()
        self._waiting_bytes = 0
        self._in_flight: list[Sequence[_Waiter]] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._is_failing = False
        self._stored_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many arrivals wait for an insert in flight to end."""
        return len(self._waiting)

    @property
    def is_failing(self) -> bool:
        """Whether the last batch could not be stored, for a reason other than its content."""
        return self._is_failing

    @property
    def stored_at(self) -> float:
        """When an insert was last committed, by the loop's clock."""
        return self._stored_at

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
        """Accept nothing more and store what is waiting; refuse it if that takes too long."""
        self._closing = True
        self._arrived.set()
        await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _refuse(chain(*self._in_flight, self._waiting))

    async def put(self, arrival: Arrival) -> Stored:
        """Store an arrival; it is committed when this returns.

        Returns whether it is new (STORED), was stored before (SEEN), or was stored before with
        another body (CONFLICT). Raises NotStored if the deadline passes, too many are waiting, or
        the intake is closing. Storing one arrival twice does no harm: its event id is unique. A
        cancelled caller does not affect the others of its batch.
        """
        size = len(arrival.payload)
        if (
            self._closing
            or len(self._waiting) >= self._waiting_max
            or self._waiting_bytes + size > WAITING_BYTES_MAX
        ):
            raise NotStored
        if self._mark is not None:
            arrival = self._mark(arrival)
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
            # A bug here must not stop the batches that follow.
            except Exception as error:  # noqa: BLE001
                log.error("batch_not_stored", error=type(error).__name__)  # noqa: TRY400
            finally:
                _refuse(batch)  # those that have no answer yet
                self._in_flight.remove(batch)

    def _take_batch(self) -> list[_Waiter]:
        """Take the oldest arrivals whose callers still wait; the others were refused meanwhile."""
        batch: list[_Waiter] = []
        while self._waiting and len(batch) < self._batch_max:
            waiter = self._waiting.popleft()
            self._waiting_bytes -= len(waiter.arrival.payload)
            if not waiter.answer.done():
                batch.append(waiter)
        return batch

    async def _store_batch(self, batch: Sequence[_Waiter]) -> None:
        """Store a batch and answer its callers; find a row that can't be stored by halving."""
        pieces = [batch]
        failed_rows = 0
        while pieces:
            piece = pieces.pop()
            started_at = asyncio.get_running_loop().time()
            try:
                answers = await self._persist([waiter.arrival for waiter in piece])
            except (DatabaseUnavailable, TimeoutError) as error:
                self._is_failing = True
                self._outage.begin(STORING, reason=describe(error))
                break
            except Exception as error:  # noqa: BLE001 - any error may come from a single row
                if len(piece) > 1:
                    pieces += [piece[len(piece) // 2 :], piece[: len(piece) // 2]]
                    continue
                # The text of an error of asyncpg may quote the row, so only its class is logged.
                log.error("arrival_not_stored", error=type(error).__name__)  # noqa: TRY400
                failed_rows += 1
                if failed_rows == FAILED_ROWS_MAX:
                    break
            else:
                self._is_failing = False
                self._stored_at = asyncio.get_running_loop().time()
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
        """Refuse callers whose time is up, also while an insert hangs."""
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
    """Refuse those whose time is up; the oldest come first."""
    _refuse(takewhile(lambda waiter: waiter.expires_at <= now, waiters))
