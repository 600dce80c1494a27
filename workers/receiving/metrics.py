"""What /metrics answers: counters of this process, and the state of the fleet from the database.

The counters add up over processes; what the database says (fleet_metrics.py) does not. The
database is read and the queue is asked at most once per second however often /metrics is
scraped. While they can't be reached, /metrics is still answered, with `coinfleet_database_up 0`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, get_args

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from db.connections.pool import expire_if_unfit
from db.errors import describe
from db.health.vital_signs import read_vital_signs
from tasks.providers import PROVIDERS
from tasks.providers.signed import Cause
from workers.receiving.answers import WEBHOOK_RESULTS
from workers.receiving.fleet_metrics import FleetMetrics
from workers.serving.limits import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from db.connections.pool import Pool
    from db.health.vital_signs import VitalSigns
    from db.inbox.arrivals import Stored
    from workers.queue.probe import QueueState
    from workers.serving.answer import Answer
    from workers.serving.limits import ConnectionLimits

log = structlog.get_logger(__name__)

SNAPSHOT_AGE_MAX_S = 1.0
# Prometheus waits ten seconds; a database that needs two for this can't be used.
SNAPSHOT_TIMEOUT_S = 2.0
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
STORE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The metrics of one web process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._is_unread = False
        self._fleet = FleetMetrics()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._fleet)
        self._ask_queue: Callable[[], Awaitable[QueueState]] | None = None
        self._database_up = self._gauge("database_up", "Whether the database answers.")
        self._queue_up = self._gauge(
            "queue_up", "Whether the queue answers and takes what is written."
        )
        self._clock_ahead = self._gauge(
            "clock_ahead_seconds",
            "This machine's clock less the database's, as measured every ten seconds.",
        )
        self._received = self._counter(
            "webhooks_received",
            "Webhooks received, by provider and by the answer.",
            "provider",
            "result",
        )
        self._refused = self._counter(
            "webhooks_refused",
            "Webhooks refused, by cause; stale: a good signature with an old or future time.",
            "provider",
            "cause",
        )
        # Each label exists from the start: a rate needs a value before the first of its kind.
        for provider in PROVIDERS:
            for result in WEBHOOK_RESULTS:
                self._received.labels(provider.name, result)
            for cause in get_args(Cause):
                self._refused.labels(provider.name, cause)
        self._submitted = self._counter(
            "purchases_submitted",
            "Purchases that clients submitted, by provider and by the answer or its cause.",
            "provider",
            "result",
        )
        self._requests_refused = self._counter(
            "requests_refused",
            "Requests and connections refused before a signature was checked, by cause.",
            "cause",
        )
        for refusal in get_args(Refusal):
            self._requests_refused.labels(refusal)
        self._waiting = self._gauge(
            "arrivals_waiting", "Arrivals that wait for a statement in flight."
        )
        self._connections = self._gauge("connections", "Open connections.")
        self._held_bytes = self._gauge(
            "held_bytes", "Bytes of headers and bodies that are not answered yet."
        )
        self._batch_size = self._histogram(
            "stored_batch_size", "Arrivals stored by one statement.", BATCH_SIZES
        )
        self._store_seconds = self._histogram(
            "store_seconds", "Duration of one such statement, commit included.", STORE_SECONDS
        )

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"coinfleet_{name}", meaning, registry=self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"coinfleet_{name}", meaning, labels, registry=self._registry)

    def _histogram(self, name: str, meaning: str, bounds: Sequence[float]) -> Histogram:
        return Histogram(f"coinfleet_{name}", meaning, buckets=bounds, registry=self._registry)

    def watch_queue(self, ask: Callable[[], Awaitable[QueueState]]) -> None:
        """Call `ask` for each snapshot: it returns how the queue is, within two seconds."""
        self._ask_queue = ask

    def watch_connections(self, limits: ConnectionLimits) -> None:
        """Read from `limits` at each scrape how many connections there are, and what they hold."""
        self._connections.set_function(lambda: limits.connections)
        self._held_bytes.set_function(lambda: limits.held_bytes)

    def note_refused(self, cause: Refusal) -> None:
        """Count a request or connection that was refused before it came to a route."""
        self._requests_refused.labels(cause).inc()

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Call `waiting` at each scrape: it returns how many arrivals wait."""
        self._waiting.set_function(waiting)

    def note_received(self, provider: str, answer: Answer) -> None:
        """Count one webhook by its answer, and a refusal by its cause."""
        self._received.labels(provider, answer.result).inc()
        if answer.cause is not None:
            self._refused.labels(provider, answer.cause).inc()

    def note_submitted(self, provider: str, answer: Answer) -> None:
        """Count one submission of a client by its answer; a refusal by its cause."""
        self._submitted.labels(provider, answer.cause or answer.result).inc()

    def note_clock_ahead(self, seconds: float) -> None:
        """Show by how much this machine's clock is ahead of the database's."""
        self._clock_ahead.set(seconds)

    def note_batch(self, batch: Sequence[Stored], *, seconds: float) -> None:
        """Count one stored batch."""
        self._batch_size.observe(len(batch))
        self._store_seconds.observe(seconds)

    async def render(self) -> bytes:
        """Return all of them in Prometheus' text format; reads the database if its data is old."""
        async with self._reading:
            if time.monotonic() - self._read_at >= SNAPSHOT_AGE_MAX_S:
                self._fleet.signs, _ = await asyncio.gather(self._read(), self._note_queue())
                self._database_up.set(self._fleet.signs is not None)
                self._read_at = time.monotonic()
        return generate_latest(self._registry)

    async def _read(self) -> VitalSigns | None:
        try:
            async with asyncio.timeout(SNAPSHOT_TIMEOUT_S):
                signs = await read_vital_signs(self._pool, timeout_s=SNAPSHOT_TIMEOUT_S)
        # Without the database this process still has its own counters.
        except Exception as error:  # noqa: BLE001
            await expire_if_unfit(self._pool, error)
            # Once: who scrapes comes again, and an outage may last.
            if not self._is_unread:
                log.warning("vital_signs_unreadable", error=describe(error))
            self._is_unread = True
            return None
        self._is_unread = False
        return signs

    async def _note_queue(self) -> None:
        if self._ask_queue is not None:
            self._queue_up.set(await self._ask_queue() == "reachable")
