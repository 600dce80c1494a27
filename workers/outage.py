"""An outage as a worker tells it: once when it begins, and once when nothing suffers from it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import structlog

from db.errors import describe

log = structlog.get_logger(__name__)

# Of one kind of work; texts that tell of ever other rows shall not fill the log.
REASONS_MAX = 20

# Two drains take batches. What one of them can't apply it holds meanwhile, and the other finds
# nothing to do: that it has succeeded says nothing.
Work: TypeAlias = Literal["looks", "batches", "other batches", "jobs", "reports"]
BATCHES: tuple[Work, ...] = ("batches", "other batches")


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
        is_news = all(reason not in each for each in self._defects.values())
        if len(reasons) < REASONS_MAX:
            reasons.add(reason)
        if is_news and reason in reasons:
            log.error("look_failed", work=work, reason=reason, exc_info=error)

    def note_success(self, work: Work, *, batches: int) -> None:
        """Note that this work was done; log it if nothing is stopped any more.

        A look for batches ends when none is left. That may be long after the first was applied, so
        `batches`, how many there were so far, tells it sooner.
        """
        is_mended = self._defects.pop(work, None) is not None
        if is_mended and not (work in BATCHES and self._defects.keys() & set(BATCHES)):
            log.info("look_works_again", work=work)
        if not self._stopped:
            return
        self._stopped.pop(work, None)
        for each in BATCHES:
            if self._stopped.get(each, batches) < batches:
                del self._stopped[each]
        if not self._stopped:
            log.info("store_back")
