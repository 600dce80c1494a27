"""When a process that died is started again, and when it has died too often."""

from __future__ import annotations

from collections import deque

# Five deaths within a minute have one cause, and a restart doesn't remove it.
DEATHS = 5
WITHIN_S = 60.0
# The pause after the first death, the second and so on.
DELAYS_S = (0.2, 1.0, 2.0, 4.0)


class Restarts:
    """The recent deaths of one process or server."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=DEATHS)

    def after_death(self, now: float) -> float | None:
        """Return the seconds to wait before the next start; None after too many deaths."""
        self._deaths.append(now)
        while self._deaths[0] <= now - WITHIN_S:
            self._deaths.popleft()
        recent = len(self._deaths)
        return DELAYS_S[recent - 1] if recent < DEATHS else None
