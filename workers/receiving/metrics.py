"""What /metrics answers: counters of this process, and the state of the fleet from the database.

The database is read at most once per second however often /metrics is scraped. While it can't be
reached, /metrics is still answered, with `coinfleet_database_up 0`.
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
from workers.receiving.fleet_metrics import FleetMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from db.connections.pool import Pool
    from db.health.vital_signs import VitalSigns
    from db.inbox.arrivals import Stored
    from workers.receiving.answers import Answer
    from workers.receiving.connections.limits import ConnectionLimits

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
        self._fleet = FleetMetrics()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._fleet)
        self._received = Counter(
            "coinfleet_webhooks_received",
            "Webhooks received, by provider and by the answer.",
            ["provider", "result"],
            registry=self._registry,
        )
        self._refused = Counter(
            "coinfleet_webhooks_refused",
            "Webhooks refused, by cause; stale: a good signature with an old or future time.",
            ["provider", "cause"],
            registry=self._registry,
        )
        # Each label exists from the start: a rate needs a value before the first refusal.
        for provider in PROVIDERS:
            for cause in get_args(Cause):
                self._refused.labels(provider.name, cause)
        self._clock_ahead = Gauge(
            "coinfleet_clock_ahead_seconds",
            "This machine's clock less the database's, as measured every ten seconds.",
            registry=self._registry,
        )
        self._batch_size = Histogram(
            "coinfleet_stored_batch_size",
            "Arrivals stored by one statement.",
            buckets=BATCH_SIZES,
            registry=self._registry,
        )
        self._store_seconds = Histogram(
            "coinfleet_store_seconds",
            "Duration of one such statement, commit included.",
            buckets=STORE_SECONDS,
            registry=self._registry,
        )
        self._waiting = Gauge(
            "coinfleet_arrivals_waiting",
            "Arrivals that wait for a statement in flight.",
            registry=self._registry,
        )

        self._submitted = Counter(
            "coinfleet_purchases_submitted",
            "Purchases that clients submitted, by provider and by the answer or its cause.",
            ["provider", "result"],
            registry=self._registry,
        )
        self._requests_refused = Counter(
            "coinfleet_requests_refused",
            "Requests and connections refused before a signature was checked, by cause.",
            ["cause"],
            registry=self._registry,
        )
        self._connections = Gauge(
            "coinfleet_connections", "Open connections.", registry=self._registry
        )
        self._held_bytes = Gauge(
            "coinfleet_held_bytes",
            "Bytes of headers and bodies that are not answered yet.",
            registry=self._registry,
        )

    def watch_connections(self, limits: ConnectionLimits) -> None:
        """Read from `limits` at each scrape how many connections there are, and what they hold."""
        self._connections.set_function(lambda: limits.connections)
        self._held_bytes.set_function(lambda: limits.held_bytes)

    def note_refused(self, cause: str) -> None:
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
                self._fleet.signs = await self._read()
                self._read_at = time.monotonic()
        return generate_latest(self._registry)

    async def _read(self) -> VitalSigns | None:
        try:
            async with asyncio.timeout(SNAPSHOT_TIMEOUT_S):
                return await read_vital_signs(self._pool, timeout_s=SNAPSHOT_TIMEOUT_S)
        # Without the database this process still has its own counters.
        except Exception as error:  # noqa: BLE001
            await expire_if_unfit(self._pool, error)
            log.warning("vital_signs_unreadable", error=describe(error))
            return None
