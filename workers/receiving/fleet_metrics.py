"""The fleet's metrics: what the database says of events, proofs, schedules and workers.

Each web process tells the same of them: take the maximum over processes, never the sum.
Reads nothing itself: metrics.py reads the database and puts the result here.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from tasks.context import APPLY_BUCKETS_MS, LATENCY_BUCKETS_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.metrics_core import Metric

    from db.health.vital_signs import VitalSigns


class FleetMetrics(Collector):
    """The metrics of the fleet, made anew at each scrape from `signs`."""

    def __init__(self) -> None:
        self.signs: VitalSigns | None = None
        """What the database said when it was last read; None while it can't be reached."""

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values; none while the database can't be reached."""
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
        "coinfleet_held_events", "Payments that wait for a decision.", labels=["reason"]
    )
    oldest = GaugeMetricFamily(
        "coinfleet_held_oldest_seconds", "Age of the oldest of them.", labels=["reason"]
    )
    for each in signs.held:
        held.add_metric([each.reason], each.events)
        oldest.add_metric([each.reason], each.oldest_s)
    yield held
    yield oldest
    yield _gauge("events_dead", "Events that failed at all attempts.", signs.count("dead"))
    yield _gauge(
        "clock_behind_seconds",
        "How far stored times are ahead of the database's clock, which was set back.",
        signs.clock_behind_s,
    )
    yield _gauge(
        "oldest_pending_seconds",
        "Age of the oldest pending event.",
        signs.oldest_pending_s or 0,
    )
    yield _gauge(
        "backlog_seconds",
        "For how long the oldest event that a worker could take now has been due.",
        signs.backlog_s,
    )
    yield _gauge(
        "events_failing",
        "Pending events that fail for a passing cause while others succeed; no attempts count.",
        signs.failing.events,
    )
    yield _gauge(
        "longest_failing_seconds",
        "For how long the first of them has been failing; above 900 a person should look.",
        signs.failing.longest_s or 0,
    )
    yield from _frozen_families(signs)
    yield from _call_families(signs)
    yield from _history_families(signs)
    yield from _inquiry_families(signs)
    yield _gauge("ledger_drift", "Violations that the proofs found in the books.", signs.drift)
    proved = GaugeMetricFamily(
        "coinfleet_proof_age_seconds", "Time since the newest proof of a kind.", labels=["kind"]
    )
    for kind, age_s in (("new", signs.last_new_proof_s), ("full", signs.last_full_proof_s)):
        if age_s is not None:
            proved.add_metric([kind], age_s)
    yield proved
    yield from _schedule_families(signs)
    yield from _worker_families(signs)


def _frozen_families(signs: VitalSigns) -> Iterator[Metric]:
    frozen = signs.frozen
    yield _gauge("frozen_purchases", "Purchases that are frozen.", frozen.purchases)
    yield _gauge("frozen_coins", "Coins that are frozen: nobody can spend them.", frozen.coins)
    yield _gauge("frozen_oldest_seconds", "Age of the oldest open freeze.", frozen.oldest_s or 0)


def _call_families(signs: VitalSigns) -> Iterator[Metric]:
    labels = ["provider", "kind", "state"]
    calls = GaugeMetricFamily(
        "coinfleet_provider_calls", "Calls to providers that are not done, by state.", labels=labels
    )
    oldest = GaugeMetricFamily(
        "coinfleet_provider_call_oldest_seconds", "Age of the oldest of them.", labels=labels
    )
    for each in signs.calls:
        calls.add_metric([each.provider, each.kind, each.state], each.calls)
        oldest.add_metric([each.provider, each.kind, each.state], each.oldest_s)
    paused = GaugeMetricFamily(
        "coinfleet_provider_calls_paused_seconds",
        "Time since calls of a kind were paused until a person says so.",
        labels=["kind"],
    )
    for pause in signs.paused_calls:
        paused.add_metric([pause.kind], pause.paused_s)
    yield calls
    yield oldest
    yield paused


def _inquiry_families(signs: VitalSigns) -> Iterator[Metric]:
    labels = ["provider"]
    asked = GaugeMetricFamily(
        "coinfleet_store_inquiries", "Questions of a store that are not answered.", labels=labels
    )
    ends = GaugeMetricFamily(
        "coinfleet_store_inquiry_ends_seconds",
        "Time until the first of them can't be answered any more.",
        labels=labels,
    )
    for each in signs.inquiries:
        asked.add_metric([each.provider], each.inquiries)
        ends.add_metric([each.provider], each.ends_in_s)
    yield asked
    yield ends


def _history_families(signs: VitalSigns) -> Iterator[Metric]:
    labels = ["provider"]
    missed = CounterMetricFamily(
        "coinfleet_missed_events_found",
        "Events that no webhook brought, found in the provider's history.",
        labels=labels,
    )
    newest = GaugeMetricFamily(
        "coinfleet_missed_event_age_seconds",
        "Time since the newest of them was found.",
        labels=labels,
    )
    reached = GaugeMetricFamily(
        "coinfleet_history_age_seconds",
        "Age of the time up to which the provider's history is read.",
        labels=labels,
    )
    for each in signs.backfills:
        missed.add_metric([each.provider], each.missed)
        if each.newest_missed_s is not None:
            newest.add_metric([each.provider], each.newest_missed_s)
        if each.reached_s is not None:
            reached.add_metric([each.provider], each.reached_s)
    yield missed
    yield newest
    yield reached


def _schedule_families(signs: VitalSigns) -> Iterator[Metric]:
    missed = CounterMetricFamily(
        "coinfleet_ticks_missed", "Runs of a job that no scheduler fired.", labels=["schedule"]
    )
    failed = CounterMetricFamily(
        "coinfleet_ticks_failed", "Runs of a job that failed for good.", labels=["schedule"]
    )
    fired = GaugeMetricFamily(
        "coinfleet_job_fired_age_seconds",
        "Time since a scheduler fired the job.",
        labels=["schedule"],
    )
    done = GaugeMetricFamily(
        "coinfleet_job_done_age_seconds",
        "Time since a run of the job was done.",
        labels=["schedule"],
    )
    paused = GaugeMetricFamily(
        "coinfleet_schedule_paused_seconds",
        "Time since a person paused the job.",
        labels=["schedule"],
    )
    for pause in signs.paused_schedules:
        paused.add_metric([pause.job], pause.paused_s)
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
    yield paused


def _worker_families(signs: VitalSigns) -> Iterator[Metric]:
    # A worker's name outlives its restart: a counter that starts again at zero is a reset of one.
    age = GaugeMetricFamily(
        "coinfleet_worker_report_age_seconds", "Time since its last report.", labels=["worker"]
    )
    applied = CounterMetricFamily(
        "coinfleet_events_applied", "Events applied, each counted once.", labels=["worker"]
    )
    outcomes = CounterMetricFamily(
        "coinfleet_event_outcomes",
        "Outcomes of events, by the state in which a batch left them.",
        labels=["worker", "state", "reason"],
    )
    failures = CounterMetricFamily(
        "coinfleet_event_failures",
        "Attempts that failed and are repeated, by SQLSTATE or class of error.",
        labels=["worker", "error"],
    )
    clock = GaugeMetricFamily(
        "coinfleet_worker_clock_ahead_seconds",
        "The clock of its machine less the database's.",
        labels=["worker"],
    )
    for report in signs.workers:
        age.add_metric([report.worker], report.report_age_s)
        if report.detail.clock_ahead_s is not None:
            clock.add_metric([report.worker], report.detail.clock_ahead_s)
        applied.add_metric([report.worker], report.events)
        for outcome in report.detail.outcomes:
            outcomes.add_metric([report.worker, outcome.state, outcome.reason], outcome.events)
        for failure in report.detail.failures:
            failures.add_metric([report.worker, failure.error], failure.attempts)
    yield age
    yield clock
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
