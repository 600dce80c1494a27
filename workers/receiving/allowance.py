"""How many purchases each profile may submit per minute, counted by this process alone.

It keeps a client that repeats itself from taking the time of others; it guards no money, which the
inbox does: a purchase is stored once however often it is submitted. So it is not shared among
processes, which would cost a write per request: with three `web` processes a profile may submit
three times as often.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

PER_MINUTE = 30
WINDOW_S = 60.0
# With 30 times each they hold 8 MB. If more submit within a minute, the count of the profile that
# was silent for longest begins anew.
PROFILES_MAX = 5_000


class Allowance:
    """Counts submissions by profile over the last 60 seconds."""

    def __init__(
        self,
        *,
        per_minute: int = PER_MINUTE,
        profiles_max: int = PROFILES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_minute = per_minute
        self._profiles_max = profiles_max
        self._clock = clock
        # The profile that came last is the last.
        self._times: OrderedDict[UUID, deque[float]] = OrderedDict()

    def take(self, profile_id: UUID) -> float | None:
        """Count one and return None, or return the seconds until the next one is allowed."""
        now = self._clock()
        times = self._times.setdefault(profile_id, deque())
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        # A client that is refused and goes on is not the one to be forgotten.
        self._times.move_to_end(profile_id)
        if len(times) >= self._per_minute:
            return times[0] + WINDOW_S - now
        times.append(now)
        self._forget(now)
        return None

    def _forget(self, now: float) -> None:
        while (
            len(self._times) > self._profiles_max
            or next(iter(self._times.values()))[-1] <= now - WINDOW_S
        ):
            self._times.popitem(last=False)
