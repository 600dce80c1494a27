"""What a task may touch, handed in by the process that runs it; nothing here is global."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from tasks.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from db.connections.pool import Pool
    from db.inbox import Inbox
    from tasks.providers.provider import Provider

# Upper bounds of the apply histogram; one more bucket counts what took longer than the last.
APPLY_BUCKETS_MS = (2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)
# The same from a webhook's receipt to its application: what waits for its other half takes minutes.
LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600)
# States and reasons are a few dozen; what comes beyond is counted as one, so that labels end.
KINDS_MAX = 100
OTHER = "other"


class Meter:
    """Counts what became of events in one process; read by its reports. Not thread-safe: one loop.

    Counts outcomes, not attempts: an event that fails four times and is then applied is one
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
        self._troubles: dict[Hashable, tuple[str, float]] = {}

    def note_batch(self, *, apply_ms: float) -> None:
        """Count one committed batch that took `apply_ms` from claim to commit."""
        self.batches += 1
        self.apply_ms_total += apply_ms
        self.apply_buckets[bisect_left(APPLY_BUCKETS_MS, apply_ms)] += 1

    def note_outcome(self, state: str, reason: str | None) -> None:
        """Count one event that left a batch in this state; `pending` is no outcome."""
        if state == "pending":
            return
        self.events += state == "applied"
        kind = (state, reason or "")
        is_known = kind in self.outcomes or len(self.outcomes) < KINDS_MAX
        self.outcomes[kind if is_known else (state, OTHER)] += 1

    def note_latency(self, seconds: float) -> None:
        """Count one applied event by the time since it was received."""
        # A clock that was set back makes some negative; they would take from the sum.
        self.latency_s_total += max(seconds, 0.0)
        self.latency_buckets[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1

    def note_failure(self, error: str) -> None:
        """Count one failed attempt of an event by its SQLSTATE or class of error."""
        is_known = error in self.failures or len(self.failures) < KINDS_MAX
        self.failures[error if is_known else OTHER] += 1

    def note_trouble(self, work: Hashable, error: str) -> None:
        """Remember what is in the way of this kind of work just now, as `describe` puts it."""
        self._troubles[work] = (error, time.monotonic())

    def forget_trouble(self, work: Hashable) -> None:
        """Note that this kind of work is done again: what was in its way is over."""
        self._troubles.pop(work, None)

    def trouble(self) -> tuple[str, float] | None:
        """Return the newest trouble that is not over, and its age in seconds."""
        if not self._troubles:
            return None
        error, noted_at = max(self._troubles.values(), key=lambda trouble: trouble[1])
        return error, time.monotonic() - noted_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The pool, the settings and the signals of the process that a task runs in.

    A task that loops looks at `stopping` between batches and returns soon after it is set.
    """

    pool: Pool
    inbox: Inbox
    providers: Mapping[str, Provider]
    batch_size: int = 500
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    meter: Meter = field(default_factory=Meter)
    pace: Pace = field(default_factory=Pace)
    log: structlog.stdlib.BoundLogger = field(default_factory=structlog.stdlib.get_logger)
