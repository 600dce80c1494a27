"""What keeps a worker from its work, as the log tells it: the database's outage, or a defect.

Knows the kinds of work of a worker and which of them prove what. It runs and retries nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from db.errors import describe

if TYPE_CHECKING:
    from workers.outage import Outage

log = structlog.get_logger(__name__)

# Of one kind of work; reasons that differ each time must not fill the log.
REASONS_MAX = 20

# Two slots take batches. The events that one of them can't apply stay locked by it meanwhile, and
# the other finds nothing to do: its success proves nothing.
BATCHES = ("batches", "other batches")


class Interruptions:
    """Says once what stops a worker's work, and once when it goes on. Belongs to one event loop."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._stopped: dict[str, int] = {}
        self._defects: dict[str, set[str]] = {}

    def note_outage(self, work: str, error: Exception, *, batches: int) -> None:
        """Note that the database stops this work; `batches` is how many were applied so far."""
        self._stopped[work] = batches
        self._outage.begin(work, reason=describe(error))

    def note_defect(self, work: str, error: Exception) -> None:
        """Log what no waiting cures, such as a revoked right: once per reason while it lasts.

        The same work is tried again each second, and a trace of its calls is pages long.
        """
        reasons = self._defects.setdefault(work, set())
        reason = describe(error)
        is_news = all(reason not in each for each in self._defects.values())
        if len(reasons) < REASONS_MAX:
            reasons.add(reason)
        if is_news and reason in reasons:
            log.error("work_failed", work=work, reason=reason, exc_info=error)

    def note_success(self, work: str, *, batches: int) -> None:
        """Note that this work was done; log it if nothing is stopped any more.

        A run over the inbox ends when no event is due. That may be long after its first batch was
        applied, so a higher number of `batches` proves sooner that batches go on.
        """
        is_mended = self._defects.pop(work, None) is not None
        if is_mended and not (work in BATCHES and self._defects.keys() & set(BATCHES)):
            log.info("work_back", work=work)
        done = {work, *(each for each in BATCHES if self._stopped.get(each, batches) < batches)}
        for each in done:
            self._stopped.pop(each, None)
        self._outage.end(*done)
