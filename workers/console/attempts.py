"""How often signing in may fail per minute, counted by this process alone.

The sign-in service has limits of its own; this one keeps a guesser of one password, or of many,
from using them up for everybody.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PER_MINUTE = 5
ALL_PER_MINUTE = 60
WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try; `at` is by the clock of its Attempts."""

    at: float
    email: str


class Attempts:
    """Counts the failures of the last 60 seconds, and the tries that are under way.

    A try counts as a failure until it is forgiven, so that many at once are no more than a few.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[Attempt] = deque()

    def begin(self, email: str) -> Attempt | None:
        """Begin a try to sign in with this address; return None if nobody may try it now."""
        since = self._clock() - WINDOW_S
        while self._failures and self._failures[0].at <= since:
            self._failures.popleft()
        if len(self._failures) >= ALL_PER_MINUTE:
            return None
        wanted = email.lower()
        if sum(each.email == wanted for each in self._failures) >= PER_MINUTE:
            return None
        attempt = Attempt(self._clock(), wanted)
        self._failures.append(attempt)
        return attempt

    def forgive(self, attempt: Attempt) -> None:
        """Count it no longer: it was no guess, or nobody could judge it."""
        self._failures = deque(each for each in self._failures if each is not attempt)
