"""An outage as a worker tells it: once when it begins, and once when nothing suffers from it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import structlog

from db.errors import describe

log = structlog.get_logger(__name__)

# Of one kind of work; texts that tell of ever other rows shall not fill the log.
REASONS_MAX = 20

Work: TypeAlias = Literal["looks", "batches", "jobs", "reports"]


class Outage:
    """What the store keeps from going on.

    One kind of work may go on while another can't: a lock stops batches and no report. So it lasts
    until every kind that failed has succeeded. Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._stopped: dict[Work, int] = {}
        self._defects: dict[Work, set[str]] = {}

    def begin(self, work: Work, *, batches: int = 0) -> bool:
        """Note that the store stops this work, after so many batches; return whether it is news."""
        is_news = not self._stopped
        self._stopped[work] = batches
        return is_news

    def note_failure(self, work: Work, reason: str, *, batches: int) -> None:
        """Note that the store stops this work; log it if it stopped none before."""
        if self.begin(work, batches=batches):
            log.warning("store_away", reason=reason)

    def note_defect(self, work: Work, error: Exception) -> None:
        """Log what no waiting mends, such as a revoked right: once for each reason while it lasts.

        The same work is tried again each second, and a trace of its calls is pages long.
        """
        reasons = self._defects.setdefault(work, set())
        reason = describe(error)
        if reason not in reasons and len(reasons) < REASONS_MAX:
            reasons.add(reason)
            log.error("look_failed", work=work, reason=reason, exc_info=error)

    def note_success(self, work: Work, *, batches: int) -> None:
        """Note that this work was done; log it if nothing is stopped any more.

        A look for batches ends when none is left. That may be long after the first was applied, so
        `batches`, how many there were so far, tells it sooner.
        """
        if self._defects.pop(work, None):
            log.info("look_works_again", work=work)
        if not self._stopped:
            return
        self._stopped.pop(work, None)
        if self._stopped.get("batches", batches) < batches:
            del self._stopped["batches"]
        if not self._stopped:
            log.info("store_back")
