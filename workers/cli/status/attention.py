"""What of the fleet's health needs a person, one line for each thing.

Values only: nothing here asks the database or the queue; checks.py asks further questions.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from workers.cli.status.jobs import job_faults
from workers.cli.status.processes import judge_webs
from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.cli.status.faults import Fault
    from workers.cli.status.health import FleetHealth, Parked

# An event takes milliseconds; after a minute no worker runs, or something keeps them from working.
OLDEST_PENDING_MAX_S = 60.0
# A stored time that is so far in the future shows that the clock was set back.
CLOCK_TOLERANCE_S = 5
# The job that proves new entries, and how long its runs may get no further.
PROOF_JOB = "new_entries_proof"
PROOF_STANDS_MAX = timedelta(minutes=15)
_WITHOUT_QUEUE = "workers look for events once per second"


def judged(health: FleetHealth, *, found: Sequence[Fault] = ()) -> FleetHealth:
    """Return it with its verdict; `found` is what other checks add to its attention."""
    attention = [*_find_faults(health), *(each.line for each in found)]
    return replace(health, attention=attention, healthy=not attention)


def _find_faults(health: FleetHealth) -> Iterator[str]:
    """Yield the lines."""
    if not health.schema_current:
        yield "the schema is not this release's: run `coinfleet migrate`"
    if health.dead.count:
        yield _dead(health.dead)
    if (health.oldest_pending_s or 0) > OLDEST_PENDING_MAX_S:
        yield f"an event has been pending for {duration(health.oldest_pending_s or 0)}"
    if health.drift.violations:
        yield f"the proofs found {counted(health.drift.violations, 'violation')} in the books"
    yield from _open_transaction(health)
    fired_at, now = health.scheduler_fired_at, health.checked_at
    for fault in job_faults(health.schedules, fired_at=fired_at, now=now):
        yield fault.line
    yield from _clock(health)
    if not any(worker.is_alive for worker in health.workers):
        yield "no worker reports"
    for fault in judge_webs(health.webs, now):
        yield fault.line
    if health.queue.reachable is False:
        yield f"the queue is unreachable: {health.queue.outage}; {_WITHOUT_QUEUE}"
    if refusal := health.queue.refusal:
        yield f"the queue refuses writes: {refusal}; {_WITHOUT_QUEUE}"


def _open_transaction(health: FleetHealth) -> Iterator[str]:
    """Say that runs of the continuous proof get no further: overdue runs are said elsewhere."""
    proved_at = health.drift.last_new_at
    runs = [each.last_done_at for each in health.schedules if each.job == PROOF_JOB]
    if proved_at is None or not runs or runs[0] is None:
        return
    if runs[0] - proved_at > PROOF_STANDS_MAX:
        stands_s = (health.checked_at - proved_at).total_seconds()
        yield (
            f"proofs and leaderboards have stood still for {duration(stands_s)}:"
            " a transaction has been open since; `coinfleet doctor` says how to find it"
        )


def _dead(dead: Parked) -> str:
    events = f"dead: {counted(dead.count, 'event')}"
    if not dead.oldest:
        return events
    oldest = dead.oldest[0]
    all_of_them = ", or all of them by `--state dead`" if dead.count > 1 else ""
    return (
        f"{events}, the oldest with id {oldest.id} ({oldest.last_error or oldest.reason}):"
        " remove the cause, then have it processed again:"
        f" `coinfleet replay --id {oldest.id} --why '…'`{all_of_them}"
    )


def _clock(health: FleetHealth) -> Iterator[str]:
    stored = [worker.reported_at for worker in health.workers]
    if health.scheduler_fired_at is not None:
        stored.append(health.scheduler_fired_at)
    ahead_s = max(((each - health.checked_at).total_seconds() for each in stored), default=0)
    if ahead_s > CLOCK_TOLERANCE_S:
        yield f"the database's clock was set back: stored times are {duration(ahead_s)} ahead of it"
