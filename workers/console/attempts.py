"""How often signing in may fail per minute, counted by this process alone.

The sign-in service has limits of its own; this one keeps a guesser of one password, or of many,
from using them up for everybody.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PER_MINUTE = 5
ALL_PER_MINUTE = 60
WINDOW_S = 60.0


class Attempts:
    """Counts the failures of the last 60 seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque(maxlen=ALL_PER_MINUTE)

    def may_try(self, email: str) -> bool:
        """Return whether somebody may try to sign in with this address now."""
        since = self._clock() - WINDOW_S
        while self._failures and self._failures[0][0] <= since:
            self._failures.popleft()
        if len(self._failures) >= ALL_PER_MINUTE:
            return False
        wanted = email.lower()
        return sum(each == wanted for _, each in self._failures) < PER_MINUTE

    def note_failure(self, email: str) -> None:
        """Count one."""
        self._failures.append((self._clock(), email.lower()))
