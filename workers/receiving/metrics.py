"""What /metrics tells: counters of this process, and how the whole fleet is by the database.

The database is asked at most once a second however often one scrapes; while it can't be reached the
scrape still answers, with `coinfleet_database_up 0`.
"""

from __future__ import annotations

import asyncio
import time
from itertools import accumulate
from typing import TYPE_CHECKING, get_args

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from db.connections.pool import expire_if_unfit
from db.errors import describe
from db.health.vital_signs import read_vital_signs
from tasks.context import APPLY_BUCKETS_MS, LATENCY_BUCKETS_S
from tasks.providers import PROVIDERS
from tasks.providers.signed import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from db.connections.pool import Pool
    from db.health.vital_signs import VitalSigns
    from db.inbox import Stored
    from workers.receiving.connection_limits import ConnectionLimits
    from workers.receiving.receiver import Answer

log = structlog.get_logger(__name__)

SNAPSHOT_AGE_MAX_S = 1.0
# A scraper waits ten seconds; a database that takes two for this is as good as down.
SNAPSHOT_TIMEOUT_S = 2.0
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
STORE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The metrics of one web process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._fleet = _Fleet()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._fleet)
        self._received = Counter(
            "coinfleet_webhooks_received",
            "Webhooks received, by provider and by what became of them here.",
            ["provider", "result"],
            registry=self._registry,
        )
        self._refused = Counter(
            "coinfleet_webhooks_refused",
            "Webhooks refused, by cause; stale is a good signature with an old or future time.",
            ["provider", "cause"],
            registry=self._registry,
        )
        # Present from the start: a rate needs a value before the first.
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
            "How long one such statement took, commit included.",
            buckets=STORE_SECONDS,
            registry=self._registry,
        )
        self._waiting = Gauge(
            "coinfleet_arrivals_waiting",
            "Arrivals that wait for the statement in flight.",
            registry=self._registry,
        )

        self._requests_refused = Counter(
            "coinfleet_requests_refused",
            "Requests and connections refused before any provider's signature, by cause.",
            ["cause"],
            registry=self._registry,
        )
        self._connections = Gauge(
            "coinfleet_connections", "Connections that are open.", registry=self._registry
        )
        self._held_bytes = Gauge(
            "coinfleet_held_bytes",
            "Bytes of heads and bodies that are not yet answered.",
            registry=self._registry,
        )

    def watch_connections(self, limits: ConnectionLimits) -> None:
        """Ask this at each scrape how many connections there are, and what they hold."""
        self._connections.set_function(lambda: limits.connections)
        self._held_bytes.set_function(lambda: limits.held_bytes)

    def note_refused(self, cause: str) -> None:
        """Count what was refused before it reached a route."""
        self._requests_refused.labels(cause).inc()

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Ask this at each scrape how many arrivals wait."""
        self._waiting.set_function(waiting)

    def note_received(self, provider: str, answer: Answer) -> None:
        """Count one request by what its sender was told, and a refusal by its cause."""
        self._received.labels(provider, answer.result).inc()
        if answer.cause is not None:
            self._refused.labels(provider, answer.cause).inc()

    def note_clock_ahead(self, seconds: float) -> None:
        """Show by how much this machine's clock is ahead of the database's."""
        self._clock_ahead.set(seconds)

    def note_batch(self, batch: Sequence[Stored], *, seconds: float) -> None:
        """Count one stored batch."""
        self._batch_size.observe(len(batch))
        self._store_seconds.observe(seconds)

    async def render(self) -> bytes:
        """Give all of them in Prometheus' text format."""
        async with self._reading:
            if time.monotonic() - self._read_at >= SNAPSHOT_AGE_MAX_S:
                self._fleet.signs = await self._read()
                self._read_at = time.monotonic()
        return generate_latest(self._registry)

    async def _read(self) -> VitalSigns | None:
        try:
            async with asyncio.timeout(SNAPSHOT_TIMEOUT_S):
                return await read_vital_signs(self._pool, timeout_s=SNAPSHOT_TIMEOUT_S)
        # Whatever is wrong there, this process has its own counters to tell.
        except Exception as error:  # noqa: BLE001
            await expire_if_unfit(self._pool, error)
            log.warning("vital_signs_unreadable", error=describe(error))
            return None


class _Fleet(Collector):
    """The database's word, as it was when last asked; None while it can't be reached."""

    def __init__(self) -> None:
        self.signs: VitalSigns | None = None

    def collect(self) -> Iterator[Metric]:
        yield _gauge("database_up", "Whether the database answers.", self.signs is not None)
        if self.signs is not None:
            yield from _families(self.signs)


def _families(signs: VitalSigns) -> Iterator[Metric]:
    events = GaugeMetricFamily(
        "coinfleet_events", "Inbox events by state.", labels=["provider", "state"]
    )
    for count in signs.events:
        events.add_metric([count.provider, count.state], count.events)
    yield events
    yield _gauge("events_held", "Events that wait for a person.", signs.count("held"))
    held = GaugeMetricFamily(
        "coinfleet_held_events", "Events that wait for a decision.", labels=["reason"]
    )
    oldest = GaugeMetricFamily(
        "coinfleet_held_oldest_seconds", "Age of the oldest of them.", labels=["reason"]
    )
    for each in signs.held:
        held.add_metric([each.reason], each.events)
        oldest.add_metric([each.reason], each.oldest_s)
    yield held
    yield oldest
    yield _gauge("events_dead", "Events given up after all attempts.", signs.count("dead"))
    yield _gauge(
        "clock_behind_seconds",
        "How far stored times are ahead of the database's clock, which was set back.",
        signs.clock_behind_s,
    )
    yield _gauge(
        "oldest_pending_seconds",
        "Age of the oldest event that is still to do.",
        signs.oldest_pending_s or 0,
    )
    yield _gauge(
        "events_failing",
        "Pending events that a passing failure hits alone; no attempts are counted.",
        signs.failing.events,
    )
    yield _gauge(
        "longest_failing_seconds",
        "For how long the first of them has been failing; past 900 somebody should look.",
        signs.failing.longest_s or 0,
    )
    yield _gauge("ledger_drift", "Violations the proofs found in the books.", signs.drift)
    proved = GaugeMetricFamily(
        "coinfleet_proof_age_seconds", "Time since the newest proof of a kind.", labels=["kind"]
    )
    for kind, age_s in (("new", signs.last_new_proof_s), ("full", signs.last_full_proof_s)):
        if age_s is not None:
            proved.add_metric([kind], age_s)
    yield proved
    yield from _schedule_families(signs)
    yield from _worker_families(signs)


def _schedule_families(signs: VitalSigns) -> Iterator[Metric]:
    missed = CounterMetricFamily(
        "coinfleet_ticks_missed", "Runs of a job that nobody fired.", labels=["job"]
    )
    failed = CounterMetricFamily(
        "coinfleet_ticks_failed", "Runs of a job that were given up.", labels=["job"]
    )
    fired = GaugeMetricFamily(
        "coinfleet_job_fired_age_seconds", "Time since a scheduler fired it.", labels=["job"]
    )
    done = GaugeMetricFamily(
        "coinfleet_job_done_age_seconds", "Time since a run of it was done.", labels=["job"]
    )
    for schedule in signs.schedules:
        missed.add_metric([schedule.job], schedule.missed)
        failed.add_metric([schedule.job], schedule.failed)
        if schedule.fired_age_s is not None:
            fired.add_metric([schedule.job], schedule.fired_age_s)
        if schedule.done_age_s is not None:
            done.add_metric([schedule.job], schedule.done_age_s)
    yield missed
    yield failed
    yield fired
    yield done


def _worker_families(signs: VitalSigns) -> Iterator[Metric]:
    # By worker, whose name outlives a restart: what starts again at zero is one counter's reset.
    age = GaugeMetricFamily(
        "coinfleet_worker_report_age_seconds", "Time since its last report.", labels=["worker"]
    )
    applied = CounterMetricFamily(
        "coinfleet_events_applied", "Events applied, each counted once.", labels=["worker"]
    )
    outcomes = CounterMetricFamily(
        "coinfleet_event_outcomes",
        "What became of events, by the state in which a batch left them.",
        labels=["worker", "state", "reason"],
    )
    failures = CounterMetricFamily(
        "coinfleet_event_failures",
        "Attempts that failed, by SQLSTATE or class of error; the events are tried again.",
        labels=["worker", "error"],
    )
    for report in signs.workers:
        age.add_metric([report.worker], report.report_age_s)
        applied.add_metric([report.worker], report.events)
        for outcome in report.detail.outcomes:
            outcomes.add_metric([report.worker, outcome.state, outcome.reason], outcome.events)
        for failure in report.detail.failures:
            failures.add_metric([report.worker, failure.error], failure.attempts)
    yield age
    yield applied
    yield outcomes
    yield failures
    yield from _duration_families(signs)


def _duration_families(signs: VitalSigns) -> Iterator[Metric]:
    applying = HistogramMetricFamily(
        "coinfleet_apply_seconds", "From claim to commit of one batch.", labels=["worker"]
    )
    latency = HistogramMetricFamily(
        "coinfleet_received_to_applied_seconds",
        "From the receipt of an event to the commit that applied it.",
        labels=["worker"],
    )
    apply_bounds_s = [bound_ms / 1000 for bound_ms in APPLY_BUCKETS_MS]
    for report in signs.workers:
        _add_histogram(
            applying,
            report.worker,
            apply_bounds_s,
            report.apply_buckets,
            report.apply_ms_total / 1000,
        )
        _add_histogram(
            latency,
            report.worker,
            LATENCY_BUCKETS_S,
            report.detail.latency_buckets,
            report.detail.latency_s_total,
        )
    yield applying
    yield latency


def _add_histogram(
    family: HistogramMetricFamily,
    worker: str,
    bounds_s: Sequence[float],
    counts: Sequence[int],
    sum_s: float,
) -> None:
    bounds = [*map(str, bounds_s), "+Inf"]
    cumulative = accumulate(counts or [0] * len(bounds))
    family.add_metric(
        [worker], buckets=list(zip(bounds, cumulative, strict=False)), sum_value=sum_s
    )


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"coinfleet_{name}", documentation, value=value)
