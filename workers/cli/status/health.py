"""The fleet's health as one value: what the database and the queue say, and what needs a person.

Its fields are the keys of `status --json`. Nothing here asks the database or the queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from datetime import datetime

    from db.health.backfills import HistoryStatus
    from db.health.calls import CallCount
    from db.health.status import HeldCount, ParkedEvent
    from db.health.vital_signs import EventCount, Frozen
    from db.health.webs import WebStatus
    from db.health.workers import WorkerStatus
    from db.reconciliation import ProofStatus
    from workers.cli.status.jobs import Job

STATES = ("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Events that wait for a person: how many, the oldest and the newest of them."""

    count: int
    oldest: list[ParkedEvent]
    newest: list[ParkedEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The doorbell's queue; `reachable` is null if no address is known here.

    `refusal` says why it refuses what is written, and `outage` why it is unreachable, each with
    host and port. A key that doesn't apply is left out.
    """

    reachable: bool | None
    waiting: int | None
    refusal: str | UnsetType = UNSET
    outage: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetHealth:
    """All of it. `attention` says in words what needs a person; it is empty if all is well.

    attention.judged fills in both.
    """

    healthy: bool = True
    attention: list[str] = field(default_factory=list)
    checked_at: datetime
    schema_current: bool
    events: dict[str, int]
    events_by_provider: dict[str, dict[str, int]]
    oldest_pending_s: float | None
    held: Parked
    held_by_reason: list[HeldCount]
    dead: Parked
    frozen: Frozen
    calls: list[CallCount]
    histories: list[HistoryStatus]
    scheduler_fired_at: datetime | None
    schedules: list[Job]
    drift: ProofStatus
    workers: list[WorkerStatus]
    webs: list[WebStatus]
    queue: Queue


def by_state(counts: list[EventCount]) -> dict[str, int]:
    """Return the number of events in each state, 0 included, over all providers."""
    return {
        state: sum(count.events for count in counts if count.state == state) for state in STATES
    }


def by_provider(counts: list[EventCount]) -> dict[str, dict[str, int]]:
    """Return the same for each provider that ever sent an event."""
    return {
        provider: by_state([count for count in counts if count.provider == provider])
        for provider in sorted({count.provider for count in counts})
    }
