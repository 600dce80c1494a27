"""What a task may touch, handed in by the process that runs it; nothing here is global."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from tasks.pace import Pace

if TYPE_CHECKING:
    from db.inbox import Inbox
    from db.pool import Pool

# Upper bounds of the apply histogram; one more bucket counts what took longer than the last.
APPLY_BUCKETS_MS = (2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)


class Meter:
    """Counts applied batches of one process; read by its reports. Not thread-safe: one loop."""

    def __init__(self) -> None:
        self.batches = 0
        self.events = 0
        self.apply_ms_total = 0.0
        self.apply_buckets = [0] * (len(APPLY_BUCKETS_MS) + 1)

    def note_batch(self, *, events: int, apply_ms: float) -> None:
        """Count one committed batch of `events` that took `apply_ms` from claim to commit."""
        self.batches += 1
        self.events += events
        self.apply_ms_total += apply_ms
        self.apply_buckets[bisect_left(APPLY_BUCKETS_MS, apply_ms)] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The pool, the settings and the signals of the process that a task runs in.

    A task that loops looks at `stopping` between batches and returns soon after it is set.
    """

    pool: Pool
    inbox: Inbox
    stripe_livemode: bool = False
    stripe_accounts: frozenset[str] = frozenset()
    batch_size: int = 500
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    meter: Meter = field(default_factory=Meter)
    pace: Pace = field(default_factory=Pace)
    log: structlog.stdlib.BoundLogger = field(default_factory=structlog.stdlib.get_logger)
