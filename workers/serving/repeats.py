"""What strangers can make happen as often as they like, and the log says once a minute."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_EVERY_S = 60.0


class Repeats:
    """Counts by cause. A cause is one of a few words of ours, never what somebody sent."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unlogged: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}

    def note(self, cause: str) -> int | None:
        """Count it; return how often it came since it was last logged, or None if that is soon."""
        self._unlogged[cause] += 1
        now = self._clock()
        if now - self._logged_at.get(cause, float("-inf")) < LOG_EVERY_S:
            return None
        self._logged_at[cause] = now
        return self._unlogged.pop(cause)
