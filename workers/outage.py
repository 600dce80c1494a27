"""An outage in the log: said once when a thing is unreachable, and once when it is back.

In between it is said again only if the reason is another one by now: what ended the sessions is
often not what keeps new ones out, and the second is what a person must mend. A thing that fails in
many ways by turns must not fill the log, so a reason is told at the earliest SETTLED_S after the
outage began, and CHANGES_PAUSE_S after it was told before.

A process has one `Outage` per thing that it needs. It decides nothing: the code that uses the thing
notes how that went, and asks elsewhere whether an error is an outage (db.health.readiness).
"""

from __future__ import annotations

import threading
import time
from typing import Literal, TypeAlias

import structlog

log = structlog.get_logger(__name__)

Thing: TypeAlias = Literal["database", "queue", "provider", "collector", "sign_in_service"]

# A restart has several reasons within seconds (ended sessions, a closed port, a server that
# starts), and is over after that: only a reason that is there by then is news.
SETTLED_S = 10.0
# An operator who reads the log is at most this far behind; 60 lines are the most that an hour has.
CHANGES_PAUSE_S = 60.0

# Written out, so that a search for an event of the log finds them.
UNREACHABLE: dict[Thing, str] = {
    "database": "database_unreachable",
    "queue": "queue_unreachable",
    "provider": "provider_unreachable",
    "collector": "collector_unreachable",
    "sign_in_service": "sign_in_service_unreachable",
}
BACK: dict[Thing, str] = {
    "database": "database_back",
    "queue": "queue_back",
    "provider": "provider_back",
    "collector": "collector_back",
    "sign_in_service": "sign_in_service_back",
}


class Outage:
    """The outage of one thing, as one process meets it. Any thread may call.

    One kind of work may go on while another can't: a lock stops batches, and no report. So an
    outage is over when each kind of work that it stopped was done again.

        outage = Outage("database", then="work waits for it")
        outage.begin("reports", reason="no answer in time")   # logs database_unreachable
        outage.begin("batches", reason="no answer in time")   # logs nothing
        outage.begin("reports", reason="wrong password")      # logs it again, see above
        outage.end("reports")                                 # logs nothing
        outage.end("batches")                                 # logs database_back
    """

    def __init__(
        self,
        thing: Thing,
        *,
        then: str,
        calm_s: float = 0.0,
        same_within_s: float = 0.0,
        **fields: str,
    ) -> None:
        """Log nothing yet. `then` says what happens meanwhile; `fields` go into each line.

        An outage that begins within `same_within_s` after the last one counts as the same. It is
        over once nothing has failed for `calm_s`: a thing that fails and works by turns would fill
        the log.
        """
        self._thing = thing
        self._then = then
        self._calm_s = calm_s
        self._same_within_s = same_within_s
        self._fields = fields
        self._stopped: dict[str, str] = {}
        self._told: dict[str, str] = {}
        """The last reason of each kind of work that is in the log."""
        self._tell_again_at = float("inf")
        self._failed_at = self._over_at = float("-inf")
        self._must_be_calm = False
        self._lock = threading.Lock()

    def begin(self, work: str, *, reason: str, event: str | None = None) -> None:
        """Note that this kind of work is stopped; log it if that is news.

        `event` is the name in the log where the thing answers and refuses. Each name is logged once
        per outage, and again with another reason as the module says.
        """
        event = event or UNREACHABLE[self._thing]
        with self._lock:
            self._failed_at = now = time.monotonic()
            if not self._stopped:
                self._must_be_calm = now - self._over_at < self._same_within_s
                self._told.clear()
                self._tell_again_at = now + SETTLED_S
            is_news = event not in self._stopped.values()
            is_known = reason in self._told.values()
            if not is_news and not is_known and now >= self._tell_again_at:
                is_news = True
                self._tell_again_at = now + CHANGES_PAUSE_S
            if is_news or is_known:
                self._told[work] = reason
            self._stopped[work] = event
        if is_news:
            log.warning(event, **self._fields, reason=reason, then=self._then)

    def end(self, *works: str) -> None:
        """Note that these kinds of work were done, or all; log it if none is stopped any more."""
        with self._lock:
            now = time.monotonic()
            if not self._stopped or (self._must_be_calm and now - self._failed_at < self._calm_s):
                return
            for work in works or tuple(self._stopped):
                self._stopped.pop(work, None)
            is_over = not self._stopped
            if is_over:
                self._over_at = now
        if is_over:
            log.info(BACK[self._thing], **self._fields)

    def stops(self, work: str) -> bool:
        """Return whether this kind of work failed and was not done since."""
        return work in self._stopped
