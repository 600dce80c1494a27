"""How the fleet is, as the database knows it; for /metrics and operators' commands.

One query reads it all. What workers report of themselves is read with care: see `read_vital_signs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.errors import raising_unavailable
from db.health.backfills import HistoryStatus
from db.health.calls import CallCount
from db.health.inquiries import InquiryCount
from db.health.workers import WorkDetail

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


class EventCount(msgspec.Struct, frozen=True):
    """How many events of a provider are in a state."""

    provider: str
    state: str
    events: int


class Schedule(msgspec.Struct, frozen=True):
    """How many runs of a job were missed, and how many failed, since it was first fired.

    The ages are those of its newest firing and of the newest run that was done; None until there is
    one.
    """

    job: str
    missed: int
    failed: int
    fired_age_s: float | None = None
    done_age_s: float | None = None


class WorkerReport(msgspec.Struct, frozen=True):
    """What a worker process has applied since it started.

    `apply_buckets` counts batches by duration; the bounds are tasks.context.APPLY_BUCKETS_MS.
    """

    worker: str
    report_age_s: float
    events: int
    apply_ms_total: float
    apply_buckets: list[int]
    detail: WorkDetail = WorkDetail()


class HeldEvents(msgspec.Struct, frozen=True):
    """Events held for one reason; the oldest one's age is negative if a clock was set back."""

    reason: str
    events: int
    oldest_s: float


class Frozen(msgspec.Struct, frozen=True):
    """Purchases that are frozen, their coins, by how many freezes, and the age of the oldest."""

    purchases: int = 0
    coins: int = 0
    freezes: int = 0
    oldest_s: float | None = None


class Failing(msgspec.Struct, frozen=True):
    """How many pending events fail alone for a cause that should pass, and the longest for."""

    events: int = 0
    longest_s: float | None = None


class PausedCalls(msgspec.Struct, frozen=True):
    """A kind of calls that nobody makes until a person says so, and since when."""

    kind: str
    paused_s: float


class PausedSchedule(msgspec.Struct, frozen=True):
    """A job that nobody begins until a person resumes it, and since when."""

    job: str
    paused_s: float


class VitalSigns(msgspec.Struct, frozen=True):
    """All of it. `drift` counts violations found by the last full proof and since.

    `oldest_pending_s` is None while nothing is pending, and a proof's age until there is one.
    `backlog_s` is for how long the oldest event that a worker could take now has been due.
    `clock_behind_s` is how far stored times are ahead of the database's clock.
    """

    events: list[EventCount]
    oldest_pending_s: float | None
    drift: int
    last_new_proof_s: float | None
    last_full_proof_s: float | None
    schedules: list[Schedule]
    workers: list[WorkerReport]
    clock_behind_s: float = 0.0
    backlog_s: float = 0.0
    held: list[HeldEvents] = []
    frozen: Frozen = msgspec.field(default_factory=Frozen)
    failing: Failing = msgspec.field(default_factory=Failing)
    calls: list[CallCount] = []
    backfills: list[HistoryStatus] = []
    paused_calls: list[PausedCalls] = []
    paused_schedules: list[PausedSchedule] = []
    inquiries: list[InquiryCount] = []

    def count(self, state: str) -> int:
        """Return how many events of all providers are in this state."""
        return sum(count.events for count in self.events if count.state == state)


_VITAL_SIGNS = msgspec.json.Decoder(VitalSigns)


async def read_vital_signs(database: Pool | Connection, *, timeout_s: float) -> VitalSigns:
    """Read them in one short query. Raises DatabaseUnavailable.

    A worker's password is enough to write any report, so one that can't be read is left out.
    """
    with raising_unavailable():
        found = await database.fetchval("select fleet.vital_signs()", timeout=timeout_s)
    try:
        return _VITAL_SIGNS.decode(found)
    except msgspec.ValidationError:
        return _without_what_is_no_report(found)


def _without_what_is_no_report(found: str) -> VitalSigns:
    """Return the vital signs with those workers whose reports can be read."""
    signs = msgspec.json.decode(found)
    signs["workers"] = [report for report in signs["workers"] if _is_report(report)]
    return msgspec.convert(signs, VitalSigns)


def _is_report(report: object) -> bool:
    try:
        msgspec.convert(report, WorkerReport)
    except msgspec.ValidationError:
        return False
    return True
