"""What the reports of web and worker processes say that needs a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from db.vital_signs import WorkerReport
    from db.web_reports import RefusedInARow, WebStatus
    from db.worker_reports import Trouble

# A storing error or refusal older than this is over.
RECENT_S = 900.0
TROUBLE_RECENT_S = 30.0
# Deadlocks, lock timeouts and restarts pass: what lasts shows as pending events and late jobs.
_PASSING = ("40", "55", "57")
# One may be a retry of something old.
REFUSED_FROM = 3
SKEW_FROM_S = 30.0
_REMEDIES = {
    "no_match": "does the secret here match the one at the sender?",
    "stale": "compare that machine's clock with the sender's",
}


def judge_webs(webs: list[WebStatus], now: datetime) -> list[str]:
    """Return a line for each thing that needs a person; none if no web ever reported."""
    alive = [web for web in webs if web.is_alive]
    if webs and not alive:
        newest = max(webs, key=lambda web: web.reported_at)
        heard = ago((now - newest.reported_at).total_seconds())
        return [f"no receiver reports: web {newest.web} was last heard {heard}; is it refusing?"]
    return [line for web in alive for line in _judge(web)]


def judge_workers(workers: list[WorkerReport]) -> list[str]:
    """Return a line for each worker that something keeps from its work."""
    return [
        f"worker {worker.worker} is kept from its work: {trouble.error}"
        for worker in workers
        if worker.report_age_s < TROUBLE_RECENT_S
        and (trouble := _standing(worker.detail.trouble)) is not None
    ]


def _standing(trouble: Trouble | None) -> Trouble | None:
    """Return what is in the way just now, unless it passes by itself."""
    if trouble is None or trouble.age_s > TROUBLE_RECENT_S or trouble.error.startswith(_PASSING):
        return None
    return trouble


def _judge(web: WebStatus) -> Iterator[str]:
    detail = web.detail
    if (trouble := _standing(detail.trouble)) is not None:
        yield f"web {web.web} could not store webhooks: {trouble.error}"
    for refused in detail.refused:
        if refused.webhooks >= REFUSED_FROM and refused.newest_age_s < RECENT_S:
            yield f"web {web.web} refuses {_refused(refused)}"
    if detail.clock_ahead_s is not None and abs(detail.clock_ahead_s) > SKEW_FROM_S:
        side = "ahead of" if detail.clock_ahead_s > 0 else "behind"
        off = duration(abs(detail.clock_ahead_s))
        yield f"the clock of web {web.web} is {off} {side} the database's: set it right"


def _refused(refused: RefusedInARow) -> str:
    webhooks = counted(refused.webhooks, "webhook")
    remedy = _REMEDIES.get(refused.cause, "see its log")
    return (
        f"{refused.provider}'s webhooks: {webhooks} in a row ({refused.cause}),"
        f" the newest {ago(refused.newest_age_s)}; {remedy}"
    )
