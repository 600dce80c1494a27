"""Delivers a run's events as a provider does: over HTTP, again until acknowledged, at a given rate.

Has a small HTTP client of its own: a general one would use more of the machine than the fleet that
is being tested.
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
# Answers that may change at the next try. A provider retries all others, too, but without effect.
PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
# A provider goes on for days; the operator who watches a run wants to know sooner.
GIVE_UP_AFTER_S = 60.0


class NoAnswer(CoinfleetError):
    """The receiver is unreachable, or closed the connection before it answered."""


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
        """How many deliveries are not tried again."""
        return self.delivered + self.refused.total() + self.given_up


class Connection:
    """An HTTP connection that stays open; opened when it is first used. One request at a time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        """Send a request and return the status of its answer. Raises NoAnswer."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._send(request)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswer from error

    async def _send(self, request: bytes) -> int:
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
        """Close it; the next request opens it again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _header(head: bytes, name: bytes) -> bytes | None:
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else None


async def is_ready(address: Address) -> bool:
    """Return whether the receiver says that it is ready. Raises NoAnswer."""
    connection = Connection(address)
    try:
        status = await connection.send(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    finally:
        connection.close()
    return status == HTTPStatus.OK


async def deliver(
    events: Iterable[PlannedEvent],
    *,
    address: Address,
    secrets: Secrets,
    rate_per_s: float | None,
    deliveries: Deliveries,
    on_end: Callable[[], None],
) -> None:
    """Deliver the events in order, CONNECTIONS at a time; count them in `deliveries`.

    With a rate, each is sent when it is due and none earlier. Calls `on_end` after each delivery.
    """
    queue = iter(events)
    due_times = _due_times(rate_per_s)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(
                _work(
                    queue,
                    due_times,
                    Connection(address),
                    secrets,
                    deliveries=deliveries,
                    on_end=on_end,
                )
            )


def _due_times(rate_per_s: float | None) -> Iterator[float]:
    """Yield when each delivery is due, by the monotonic clock."""
    due = time.monotonic()
    while True:
        yield due
        due += 1 / rate_per_s if rate_per_s else 0


async def _work(
    queue: Iterator[PlannedEvent],
    due_times: Iterator[float],
    connection: Connection,
    secrets: Secrets,
    *,
    deliveries: Deliveries,
    on_end: Callable[[], None],
) -> None:
    try:
        for event in queue:
            if (early_s := next(due_times) - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            await deliver_one(event, connection, secrets, deliveries)
            on_end()
    finally:
        connection.close()


async def deliver_one(
    event: PlannedEvent, connection: Connection, secrets: Secrets, deliveries: Deliveries
) -> None:
    """Try until the receiver acknowledges the event, refuses it for good, or time is up."""
    pause_s = FIRST_PAUSE_S
    give_up_at = time.monotonic() + GIVE_UP_AFTER_S
    while True:
        status = await _try(event, connection, secrets)
        if status is not None and status < HTTPStatus.BAD_REQUEST:
            deliveries.delivered += 1
            deliveries.acknowledged.add(event.event_id)
            return
        if status is not None and status not in PASSING:
            deliveries.refused[status] += 1
            return
        if time.monotonic() > give_up_at:
            deliveries.given_up += 1
            return
        deliveries.retried += 1
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _try(event: PlannedEvent, connection: Connection, secrets: Secrets) -> int | None:
    # Signed at each try: a signature is good for five minutes.
    webhook = event.sign(secrets, at_s=time.time())
    try:
        return await connection.send(webhook.request)
    except NoAnswer:
        return None
