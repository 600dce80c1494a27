"""What needs a person according to the reports of web and worker processes.

Values only: nothing here asks the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cli.status.faults import Fault
from workers.cli.words import ago, counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from db.health.vital_signs import WorkerReport
    from db.health.webs import RefusedInARow, WebStatus
    from db.health.workers import Trouble

# An error or a refusal that is older than this is over.
RECENT_S = 900.0
TROUBLE_RECENT_S = 30.0
# Deadlocks, lock timeouts and restarts pass; what lasts shows as pending events and late jobs.
_PASSING = ("40", "55", "57")
# By SQLSTATE, or by its first two digits.
_REMEDIES_BY_SQLSTATE = {
    "53100": "free space on the database's disk",
    "53200": "the database's machine is out of memory",
    "53300": "raise max_connections, or run fewer processes",
    "25006": "the server is read-only: the address must name the primary",
    "28": "set the role's password in its address",
    "42": "run `coinfleet migrate`: the database lacks something of this release",
}
# Fewer may be retries of something old.
REFUSED_FROM = 3
SKEW_FROM_S = 30.0
_REMEDIES = {
    "no_match": "does the secret here match that of the sender?",
    "stale": "compare that machine's clock with the sender's",
}


def judge_webs(webs: list[WebStatus], now: datetime) -> list[Fault]:
    """Return a fault for each thing that needs a person; none if no web ever reported."""
    alive = [web for web in webs if web.is_alive]
    if webs and not alive:
        newest = max(webs, key=lambda web: web.reported_at)
        age = ago((now - newest.reported_at).total_seconds())
        what = f"no web process reports: the last report, of {newest.web}, was {age}; does it run?"
        return [Fault("no_web", what)]
    return [fault for web in alive for fault in _judge(web)]


def judge_workers(workers: list[WorkerReport]) -> list[Fault]:
    """Return a fault for each worker whose work fails, or that asks nothing of a provider.

    A worker whose clock is off is one, too: nobody takes what it signs.
    """
    return [
        *(
            Fault(
                "worker_asks_nothing",
                f"worker {worker.worker} asks nothing of {fault.provider}: {fault.fault}",
                "refunds and all else wait; set the right key, or add the account, and restart"
                " `worker`",
            )
            for worker in workers
            if worker.report_age_s < TROUBLE_RECENT_S
            for fault in worker.detail.faults
        ),
        *_in_trouble(workers),
        *(
            fault
            for worker in workers
            if worker.report_age_s < TROUBLE_RECENT_S
            for fault in _clock(f"worker {worker.worker}", worker.detail.clock_ahead_s)
        ),
    ]


def _in_trouble(workers: list[WorkerReport]) -> list[Fault]:
    return [
        Fault(
            # Often it is one kind of work, such as a job, and the worker goes on with all else.
            "worker_in_trouble",
            f"work of worker {worker.worker} fails: {_with_remedy(trouble.error)}",
        )
        for worker in workers
        if worker.report_age_s < TROUBLE_RECENT_S
        and (trouble := _standing(worker.detail.trouble, TROUBLE_RECENT_S)) is not None
    ]


def _standing(trouble: Trouble | None, age_max_s: float) -> Trouble | None:
    """Return the trouble if it is recent and does not pass by itself."""
    if trouble is None or trouble.age_s > age_max_s or trouble.error.startswith(_PASSING):
        return None
    return trouble


def _with_remedy(error: str) -> str:
    """Return the error and, if one is known, its remedy."""
    remedies = (
        remedy for sqlstate, remedy in _REMEDIES_BY_SQLSTATE.items() if error.startswith(sqlstate)
    )
    return "; ".join([error, *remedies])


def _judge(web: WebStatus) -> Iterator[Fault]:
    detail = web.detail
    # An error stays until the next webhook is stored, and providers retry less and less often.
    if (trouble := _standing(detail.trouble, RECENT_S)) is not None:
        what = f"web {web.web} could not store webhooks: {_with_remedy(trouble.error)}"
        yield Fault("web_in_trouble", what)
    for refused in detail.refused:
        if refused.webhooks >= REFUSED_FROM and refused.newest_age_s < RECENT_S:
            yield Fault("webhooks_refused", f"web {web.web} refused {_refused(refused)}")
    yield from _clock(f"web {web.web}", detail.clock_ahead_s)


def _clock(process: str, ahead_s: float | None) -> Iterator[Fault]:
    if ahead_s is not None and abs(ahead_s) > SKEW_FROM_S:
        side = "ahead of" if ahead_s > 0 else "behind"
        off = duration(abs(ahead_s))
        yield Fault(
            "clock_off", f"the clock of {process} is {off} {side} the database's", "correct it"
        )


def _refused(refused: RefusedInARow) -> str:
    webhooks = counted(refused.webhooks, "webhook")
    remedy = _REMEDIES.get(refused.cause, "see its log")
    return (
        f"{webhooks} of {refused.provider} in a row ({refused.cause}),"
        f" the newest {ago(refused.newest_age_s)}; {remedy}"
    )
