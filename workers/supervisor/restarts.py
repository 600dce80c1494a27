"""When something that died may start again, and when it has died too often."""

from __future__ import annotations

from collections import deque

# Five deaths within a minute: it doesn't die by chance.
DEATHS = 5
WITHIN_S = 60.0
# After the first, second … death.
DELAYS_S = (0.2, 1.0, 2.0, 4.0)


class Restarts:
    """The recent deaths of one process or server."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=DEATHS)

    def after_death(self, now: float) -> float | None:
        """Seconds to wait before the next start; None when this death was one too many."""
        self._deaths.append(now)
        while self._deaths[0] <= now - WITHIN_S:
            self._deaths.popleft()
        recent = len(self._deaths)
        return DELAYS_S[recent - 1] if recent < DEATHS else None
