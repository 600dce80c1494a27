"""Delivers a run's events as a provider does: over HTTP, again until acknowledged, at a given rate.

A client of its own, of two dozen lines: a general one would take more of the machine than the fleet
that is being watched.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from db.errors import CoinfleetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from workers.cli.simulate.plan import PlannedEvent, Secrets

CONNECTIONS = 32
ANSWER_TIMEOUT_S = 15.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
# Answers that may be another next time. A provider retries all others too, but to no avail.
PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
# A provider goes on for days; whoever watches wants to know sooner.
GIVE_UP_AFTER_S = 60.0


class NoAnswer(CoinfleetError):
    """The receiver could not be reached, or broke off before it answered."""


class Address(NamedTuple):
    """Where the receiver listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(slots=True)
class Deliveries:
    """What became of the deliveries so far."""

    acknowledged: set[str] = field(default_factory=set)
    delivered: int = 0
    retried: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    given_up: int = 0

    @property
    def ended(self) -> int:
        """Deliveries that won't be tried again."""
        return self.delivered + self.refused.total() + self.given_up


class Line:
    """One connection that stays open, made when it is needed. Not for two requests at once."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and give the answer's status. Raises NoAnswer."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._ask(request)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswer from error

    async def _ask(self, request: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(_header(head, b"content-length") or 0))
        if _header(head, b"connection") == b"close":
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _header(head: bytes, name: bytes) -> bytes | None:
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else None


async def is_ready(address: Address) -> bool:
    """Say whether the receiver calls itself ready. Raises NoAnswer."""
    line = Line(address)
    try:
        status = await line.ask(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    finally:
        line.close()
    return status == HTTPStatus.OK


async def deliver(
    events: Iterable[PlannedEvent],
    *,
    address: Address,
    secrets: Secrets,
    rate_per_s: float | None,
    so_far: Deliveries,
    on_end: Callable[[], None],
) -> None:
    """Deliver the events in order, so many at once as there are lines; count them in `so_far`.

    With a rate, each is sent when its turn comes and none earlier.
    """
    queue = iter(events)
    turns = _turns(rate_per_s)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(
                _work(queue, turns, Line(address), secrets, so_far=so_far, on_end=on_end)
            )


def _turns(rate_per_s: float | None) -> Iterator[float]:
    """Give when each delivery is due, by the monotonic clock."""
    due = time.monotonic()
    while True:
        yield due
        due += 1 / rate_per_s if rate_per_s else 0


async def _work(
    queue: Iterator[PlannedEvent],
    turns: Iterator[float],
    line: Line,
    secrets: Secrets,
    *,
    so_far: Deliveries,
    on_end: Callable[[], None],
) -> None:
    try:
        for event in queue:
            if (early_s := next(turns) - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            await _deliver_one(event, line, secrets, so_far)
            on_end()
    finally:
        line.close()


async def _deliver_one(
    event: PlannedEvent, line: Line, secrets: Secrets, so_far: Deliveries
) -> None:
    """Try until the receiver takes the event or says that it never will."""
    pause_s = FIRST_PAUSE_S
    give_up_at = time.monotonic() + GIVE_UP_AFTER_S
    while True:
        status = await _try(event, line, secrets)
        if status is not None and status < HTTPStatus.BAD_REQUEST:
            so_far.delivered += 1
            so_far.acknowledged.add(event.event_id)
            return
        if status is not None and status not in PASSING:
            so_far.refused[status] += 1
            return
        if time.monotonic() > give_up_at:
            so_far.given_up += 1
            return
        so_far.retried += 1
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _try(event: PlannedEvent, line: Line, secrets: Secrets) -> int | None:
    # Signed at each try: a signature is good for five minutes.
    webhook = event.sign(secrets, at_s=time.time())
    try:
        return await line.ask(webhook.request)
    except NoAnswer:
        return None
