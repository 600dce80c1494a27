"""What the reports of web and worker processes say that needs a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from db.health.vital_signs import WorkerReport
    from db.health.webs import RefusedInARow, WebStatus
    from db.health.workers import Trouble

# A storing error or refusal older than this is over.
RECENT_S = 900.0
TROUBLE_RECENT_S = 30.0
# Deadlocks, lock timeouts and restarts pass: what lasts shows as pending events and late jobs.
_PASSING = ("40", "55", "57")
# By SQLSTATE or its class.
_MENDS = {
    "53100": "make room on the database's disk",
    "53200": "the database's machine is out of memory",
    "53300": "raise max_connections, or run fewer processes",
    "25006": "the server takes no writes: point the address to the primary",
    "28": "set the role's password in its address",
    "42": "run `coinfleet migrate`: the database lacks something of this release",
}
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
        f"worker {worker.worker} is kept from its work: {_mended(trouble.error)}"
        for worker in workers
        if worker.report_age_s < TROUBLE_RECENT_S
        and (trouble := _standing(worker.detail.trouble, TROUBLE_RECENT_S)) is not None
    ]


def _standing(trouble: Trouble | None, age_max_s: float) -> Trouble | None:
    """Return what is in the way just now, unless it passes by itself."""
    if trouble is None or trouble.age_s > age_max_s or trouble.error.startswith(_PASSING):
        return None
    return trouble


def _mended(error: str) -> str:
    """Return the error with what mends it, if that is known."""
    remedies = (mend for sqlstate, mend in _MENDS.items() if error.startswith(sqlstate))
    return "; ".join([error, *remedies])


def _judge(web: WebStatus) -> Iterator[str]:
    detail = web.detail
    # It stands until the next webhook is stored, and providers retry ever more seldom.
    if (trouble := _standing(detail.trouble, RECENT_S)) is not None:
        yield f"web {web.web} could not store webhooks: {_mended(trouble.error)}"
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
