"""What a task may use: Context, and the Meter in which it counts.

A worker process makes both and hands them to its tasks. Nothing here is global.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from tasks.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from db.connections.pool import Pool
    from db.inbox.batches import EventId
    from db.inbox.claims import Inbox
    from tasks.breaker import Breaker
    from tasks.providers.provider import Provider

# Upper bounds of the buckets for the time that a batch takes. One more bucket follows, for batches
# that take longer than the last bound.
APPLY_BUCKETS_MS = (2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)
# The same for the time from the receipt of a webhook until its event is applied. An event that
# waits for its other half takes minutes.
LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600)
# Kinds of outcomes are a few dozen. Any beyond this number are counted together as OTHER, so that
# there is a limit to the labels of a metric.
KINDS_MAX = 100
OTHER = "other"


class Meter:
    """Counts what one process did with events; its reports read it. It belongs to one event loop.

    It counts outcomes, not attempts: an event that fails four times and is then applied is one
    applied event and four failures.
    """

    def __init__(self) -> None:
        self.batches = 0
        self.events = 0
        self.apply_ms_total = 0.0
        self.apply_buckets = [0] * (len(APPLY_BUCKETS_MS) + 1)
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[str] = Counter()
        self.latency_s_total = 0.0
        self.latency_buckets = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.faults: dict[str, str] = {}
        """By provider, why nothing is asked of it as long as the process runs."""
        self._troubles: dict[Hashable, tuple[str, float]] = {}

    def note_batch(self, *, apply_ms: float) -> None:
        """Count one committed batch that took `apply_ms` from claim to commit."""
        self.batches += 1
        self.apply_ms_total += apply_ms
        self.apply_buckets[bisect_left(APPLY_BUCKETS_MS, apply_ms)] += 1

    def note_outcome(self, state: str, reason: str | None) -> None:
        """Count one event that a batch left in this state, unless it is still `pending`."""
        if state == "pending":
            return
        self.events += state == "applied"
        kind = (state, reason or "")
        is_known = kind in self.outcomes or len(self.outcomes) < KINDS_MAX
        self.outcomes[kind if is_known else (state, OTHER)] += 1

    def note_latency(self, seconds: float) -> None:
        """Count one applied event by the time since it was received."""
        # After a clock was set back the time may be negative; the sum must not fall.
        self.latency_s_total += max(seconds, 0.0)
        self.latency_buckets[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1

    def note_failure(self, error: str) -> None:
        """Count one failed attempt at an event by its SQLSTATE or its class of error."""
        is_known = error in self.failures or len(self.failures) < KINDS_MAX
        self.failures[error if is_known else OTHER] += 1

    def note_trouble(self, work: Hashable, error: str) -> None:
        """Remember what makes this kind of work fail now; `error` is from `db.errors.describe`."""
        self._troubles[work] = (error, time.monotonic())

    def forget_trouble(self, work: Hashable) -> None:
        """Forget what made this kind of work fail: it succeeds again."""
        self._troubles.pop(work, None)

    def note_fault(self, provider: str, fault: str) -> bool:
        """Remember why nothing is asked of a provider; return whether it is new."""
        is_new = self.faults.get(provider) != fault
        self.faults[provider] = fault
        return is_new

    def trouble(self) -> tuple[str, float] | None:
        """Return the newest error that is not over, and its age in seconds."""
        if not self._troubles:
            return None
        error, noted_at = max(self._troubles.values(), key=lambda trouble: trouble[1])
        return error, time.monotonic() - noted_at


class BatchObserver(Protocol):
    """Is told of each batch, applied or failed, after its transaction; must never raise."""

    async def __call__(
        self, event_ids: Sequence[EventId], *, began_ns: int, error: str | None = None
    ) -> None:
        """`began_ns` is the time before the claim; `error` is from `db.errors.describe`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the process gives to a task: its pool, its settings, its counters and its stop signal.

    `worker` is the process's name. `providers` are all of the fleet, by name, and so are
    `breakers`. A task with a loop checks `stopping` between two
    batches, and returns if it is set.
    """

    pool: Pool
    inbox: Inbox
    providers: Mapping[str, Provider]
    worker: str
    breakers: Mapping[str, Breaker]
    batch_size: int = 500
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    meter: Meter = field(default_factory=Meter)
    pace: Pace = field(default_factory=Pace)
    observe_batch: BatchObserver | None = None
    log: structlog.stdlib.BoundLogger = field(default_factory=structlog.stdlib.get_logger)
