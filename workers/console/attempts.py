"""What this process remembers of tries to sign in: those that failed, and codes that were used.

The sign-in service has limits of its own; these keep a guesser of one password, or of many, from
using them up for everybody, and let each code sign in once, whatever the service says.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

# Of one address of e-mail from one place, of one from anywhere, from one place, and of all: so that
# a guesser can hardly keep out a person who is elsewhere.
PER_MINUTE = 5
OF_EMAIL_PER_MINUTE = 20
FROM_ORIGIN_PER_MINUTE = 30
ALL_PER_MINUTE = 60
WINDOW_S = 60.0
# An app shows a code for 30 s, and the service takes the one before and the one after it, too.
CODE_KEPT_S = 120.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try; `at` is by the clock of its Attempts."""

    at: float
    email: str
    origin: str


class Attempts:
    """Counts the failures of the last 60 seconds, and the tries that are under way.

    A try counts as a failure until it is forgiven, so that many at once are no more than a few.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[Attempt] = deque()

    def begin(self, email: str, origin: str) -> Attempt | None:
        """Begin a try to sign in with this address from there; return None if it may not be now."""
        since = self._clock() - WINDOW_S
        while self._failures and self._failures[0].at <= since:
            self._failures.popleft()
        if len(self._failures) >= ALL_PER_MINUTE:
            return None
        wanted = email.lower()
        of_email = [each.origin for each in self._failures if each.email == wanted]
        from_origin = sum(each.origin == origin for each in self._failures)
        if len(of_email) >= OF_EMAIL_PER_MINUTE or from_origin >= FROM_ORIGIN_PER_MINUTE:
            return None
        if of_email.count(origin) >= PER_MINUTE:
            return None
        attempt = Attempt(self._clock(), wanted, origin)
        self._failures.append(attempt)
        return attempt

    def forgive(self, attempt: Attempt) -> None:
        """Count it no longer: it was no guess, or nobody could judge it."""
        self._failures = deque(each for each in self._failures if each is not attempt)


class UsedCodes:
    """Codes by their person, with the time at which they were used; the oldest comes first."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: dict[tuple[UUID, str], float] = {}

    def use(self, user_id: UUID, code: str) -> bool:
        """Note that a code signs this person in; return False if it has done so before."""
        now = self._clock()
        while self._used and now - next(iter(self._used.values())) > CODE_KEPT_S:
            del self._used[next(iter(self._used))]
        if (user_id, code) in self._used:
            return False
        self._used[user_id, code] = now
        return True
