"""The breaker of one provider: whether calls to it are made now, after what became of the last.

Decides and remembers only. It makes no call, and reads no database.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from tasks.providers.calls import CallFailed, KeyRefused, ProviderThrottled, ProviderUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

# A few may fail by chance; so many in a row are an outage.
OPEN_AFTER = 3
FIRST_PAUSE_S = 1.0
# The end of an outage is noticed within this time.
PAUSE_MAX_S = 60.0
# A provider that asks for more is asked again after this, by one call; Apple counts by the hour.
THROTTLED_MAX_S = 3_600.0
CALLS = "calls"


class OutageLog(Protocol):
    """Says once that a provider is unreachable, and once that it is back; workers/outage.py."""

    def begin(self, work: str, *, reason: str, event: str | None = None) -> None:
        """Note that this kind of work is stopped."""

    def end(self, *works: str) -> None:
        """Note that it was done."""


class Breaker:
    """Belongs to one event loop. While it is open one call is made per pause, to find out.

    A provider that throttles rests for as long as it asks, but at most `throttled_max_s`.
    """

    def __init__(
        self,
        outage: OutageLog,
        *,
        throttled_max_s: float = THROTTLED_MAX_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outage = outage
        self._throttled_max_s = throttled_max_s
        self._clock = clock
        self._failures = 0
        self._rests_until = float("-inf")

    def calls_allowed(self, at_once: int) -> int:
        """Return how many calls may begin now, of the `at_once` that the provider takes."""
        if self._clock() < self._rests_until:
            return 0
        return at_once if self._failures < OPEN_AFTER else 1

    def note_answer(self) -> None:
        """Note that the provider answered as a provider does, whatever it said."""
        self._failures = 0
        self._rests_until = float("-inf")
        self._outage.end(CALLS)

    def note_failure(self, failure: CallFailed) -> None:
        """Note what a failed call says of the provider, if it says anything."""
        match failure:
            case ProviderThrottled():
                asked_s = failure.retry_after_s or FIRST_PAUSE_S
                if asked_s > self._throttled_max_s:
                    self._failures = max(self._failures, OPEN_AFTER)
                self._rest(min(asked_s, self._throttled_max_s))
            case KeyRefused():
                self._failures = max(self._failures, OPEN_AFTER)
                self._rest(PAUSE_MAX_S)
                self._outage.begin(CALLS, reason=str(failure), event="provider_refuses_key")
            case ProviderUnreachable():
                self._failures += 1
                if self._failures >= OPEN_AFTER:
                    doublings = min(self._failures - OPEN_AFTER, 10)
                    self._rest(min(PAUSE_MAX_S, FIRST_PAUSE_S * 2.0**doublings))
                    self._outage.begin(CALLS, reason=str(failure))
            case _:
                self.note_answer()

    def _rest(self, seconds: float) -> None:
        self._rests_until = max(self._rests_until, self._clock() + seconds)
