"""Pace: how large the next batch is after failures, and which events fail alone.

Decides sizes and pauses only. It reads no database and runs nothing.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from db.inbox.batches import EventId

# Deadlocks and lock timeouts pass. A batch that fails more often than this is tried in halves.
TRIES_BEFORE_HALVING = 3
FIRST_PAUSE_S = 0.05
# The end of an outage is noticed within this time.
PAUSE_MAX_S = 2.0
# Failures that are not further apart than this have one cause.
ONE_CAUSE_S = 60.0
# Few events fail alone; beyond this number the oldest is forgotten.
REMEMBERED_MAX = 1_000


class Pace:
    """The pace of one loop of batches; it remembers from one run of the loop to the next.

    A batch that fails is tried three times in full size. After that each failure halves the size of
    the next batch and each success doubles it, until a batch has its full size again.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.limit: int | None = None
        self._in_a_row = 0
        self._failed_at = float("-inf")
        self._batches_before = 0
        # By event, the number of batches that had succeeded when it failed alone.
        self._lone: dict[EventId, int] = {}
        self._alarmed_at: dict[Hashable, float] = {}

    @property
    def is_slowed(self) -> bool:
        """Whether the last batch failed, or batches are still smaller because one did."""
        return self.failures > 0

    @property
    def pause_s(self) -> float:
        """Seconds to wait before the next try; random, so that two workers do not meet again."""
        pause_s = min(PAUSE_MAX_S, FIRST_PAUSE_S * 2.0 ** min(self._in_a_row, 10))
        # The randomness protects no secret.
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311

    def note_success(self, *, batch_size: int) -> None:
        """Let batches grow until they have the full size again."""
        self._in_a_row = 0
        self.limit = None if self.limit is None else 2 * self.limit
        if self.limit is None or self.limit >= batch_size:
            self._reset()

    def note_failure(self, *, batches: int) -> None:
        """Count a failure; `batches` is how many have succeeded in this process so far."""
        now = time.monotonic()
        if now - self._failed_at > ONE_CAUSE_S:
            self._batches_before = batches
        self._failed_at = now
        self._in_a_row += 1
        self.failures += 1

    def halve(self, events: int) -> int:
        """Take half as many events next time; return how many."""
        self.limit = max(1, events // 2)
        return self.limit

    def has_tries_left(self, event_ids: Sequence[EventId]) -> bool:
        """Return whether the same batch is tried again; an event that failed alone is not."""
        is_known = len(event_ids) == 1 and event_ids[0] in self._lone
        return self.failures < TRIES_BEFORE_HALVING and not is_known

    def set_aside(self, event_id: EventId, *, batches: int) -> bool:
        """Remember an event that failed alone; return whether other batches succeeded meanwhile."""
        others_succeed = batches > self._lone.pop(event_id, self._batches_before)
        if len(self._lone) >= REMEMBERED_MAX:
            del self._lone[next(iter(self._lone))]
        self._lone[event_id] = batches
        if others_succeed:
            self._reset()
        else:
            # Perhaps every event fails: one is enough to find out when that is over.
            self.limit = 1
        return others_succeed

    def is_alarm_due(self, about: Hashable, every_s: float) -> bool:
        """Return whether this, an event say, had no alarm for `every_s`; if so, count one now."""
        if time.monotonic() - self._alarmed_at.get(about, float("-inf")) < every_s:
            return False
        if len(self._alarmed_at) >= REMEMBERED_MAX:
            self._alarmed_at.clear()
        self._alarmed_at[about] = time.monotonic()
        return True

    def _reset(self) -> None:
        self.failures = 0
        self.limit = None
