"""How large the next batch may be after failures, and which events fail alone; one per drain."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.batches import EventId

# Deadlocks and lock timeouts pass; a batch that fails so often is tried in halves.
TRIES_BEFORE_HALVING = 3
FIRST_PAUSE_S = 0.05
# Whatever is in the way, somebody notices within this that it is gone.
PAUSE_MAX_S = 2.0
# Failures that are no further apart have one cause.
ONE_TROUBLE_S = 60.0
# What fails alone is a handful of events; more of them are not worth remembering.
REMEMBERED_MAX = 1_000


class Pace:
    """Outlives the runs of its drain: an outage ends a run, not what was learned by then.

    Three failures in full size, then half as many events after each failure and twice as many after
    each success, until a batch is whole again.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.limit: int | None = None
        self._in_a_row = 0
        self._failed_at = float("-inf")
        self._batches_before = 0
        self._lone: dict[EventId, int] = {}
        self._alarmed_at: dict[EventId, float] = {}

    @property
    def is_in_trouble(self) -> bool:
        """Whether the last batch failed, or those since were smaller for it."""
        return self.failures > 0

    def succeed(self, *, batch_size: int) -> None:
        """Go on with whole batches, or towards them."""
        self._in_a_row = 0
        self.limit = None if self.limit is None else 2 * self.limit
        if self.limit is None or self.limit >= batch_size:
            self._start_anew()

    def fail(self, *, batches: int) -> None:
        """Count a failure; `batches` is how many succeeded in this process so far."""
        now = time.monotonic()
        if now - self._failed_at > ONE_TROUBLE_S:
            self._batches_before = batches
        self._failed_at = now
        self._in_a_row += 1
        self.failures += 1

    def halve(self, events: int) -> int:
        """Take half as many next time; return how many."""
        self.limit = max(1, events // 2)
        return self.limit

    def is_to_be_tried_again(self, event_ids: Sequence[EventId]) -> bool:
        """Return whether the same batch has tries left; an event known to fail alone has one."""
        is_known = len(event_ids) == 1 and event_ids[0] in self._lone
        return self.failures < TRIES_BEFORE_HALVING and not is_known

    def set_aside(self, event_id: EventId, *, batches: int) -> bool:
        """Remember an event that failed alone; return whether other batches succeeded meanwhile."""
        others_succeed = batches > self._lone.pop(event_id, self._batches_before)
        if len(self._lone) >= REMEMBERED_MAX:
            del self._lone[next(iter(self._lone))]
        self._lone[event_id] = batches
        if others_succeed:
            self._start_anew()
        else:
            # Perhaps nothing succeeds: one event is enough to find out when that is over.
            self.limit = 1
        return others_succeed

    def is_alarm_due(self, event_id: EventId, every_s: float) -> bool:
        """Return whether no alarm of this event was given for so long; the answer counts as one."""
        if time.monotonic() - self._alarmed_at.get(event_id, float("-inf")) < every_s:
            return False
        if len(self._alarmed_at) >= REMEMBERED_MAX:
            self._alarmed_at.clear()
        self._alarmed_at[event_id] = time.monotonic()
        return True

    @property
    def pause_s(self) -> float:
        """How long to wait. Jitter keeps two workers from meeting again: it guards no secret."""
        pause_s = min(PAUSE_MAX_S, FIRST_PAUSE_S * 2.0 ** min(self._in_a_row, 10))
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311

    def _start_anew(self) -> None:
        self.failures = 0
        self.limit = None
