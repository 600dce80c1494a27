"""Delivers a run's events as a provider does: over HTTP, again until acknowledged, at a given rate.

Signs each delivery anew; counts what became of them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

from workers.cli.simulate.garbage import Garbage
from workers.cli.simulate.http import Connection, NoAnswer
from workers.cli.simulate.plan import PlannedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from workers.cli.simulate.http import Address
    from workers.cli.simulate.plan import Secrets

Delivery: TypeAlias = PlannedEvent | Garbage

CONNECTIONS = 32
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


@dataclass(slots=True)
class Deliveries:
    """What became of the deliveries so far."""

    acknowledged: set[str] = field(default_factory=set)
    delivered: int = 0
    retried: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    given_up: int = 0
    garbage: int = 0
    """Requests of strangers that were answered as they should be."""
    misjudged: Counter[int] = field(default_factory=Counter)
    """Requests of strangers that were answered otherwise, by status."""

    def note(self, event: Delivery, status: int) -> None:
        """Count a delivery by the answer that it got for good."""
        if isinstance(event, Garbage):
            if status in event.statuses:
                self.garbage += 1
            else:
                self.misjudged[status] += 1
        elif status < HTTPStatus.BAD_REQUEST:
            self.delivered += 1
            self.acknowledged.add(event.event_id)
        else:
            self.refused[status] += 1

    @property
    def ended(self) -> int:
        """How many deliveries are not tried again."""
        judged = self.delivered + self.refused.total() + self.given_up
        return judged + self.garbage + self.misjudged.total()


async def deliver(
    events: Iterable[Delivery],
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
    queue: Iterator[Delivery],
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
    event: Delivery, connection: Connection, secrets: Secrets, deliveries: Deliveries
) -> None:
    """Try until the receiver acknowledges the event, refuses it for good, or time is up."""
    pause_s = FIRST_PAUSE_S
    give_up_at = time.monotonic() + GIVE_UP_AFTER_S
    while True:
        status = await _try(event, connection, secrets)
        if status is not None and status not in PASSING:
            deliveries.note(event, status)
            return
        if time.monotonic() > give_up_at:
            deliveries.given_up += 1
            return
        deliveries.retried += 1
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


async def _try(event: Delivery, connection: Connection, secrets: Secrets) -> int | None:
    # Signed at each try: a signature is good for five minutes.
    webhook = event.sign(secrets, at_s=time.time())
    try:
        return await connection.send(webhook.request)
    except NoAnswer:
        return None
