"""What is known of missed events: how far each provider's history is read, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from db.connections.pool import Connection, Pool


class HistoryStatus(msgspec.Struct, frozen=True):
    """The history of a provider that was ever read.

    Of the events that it `found`, a webhook should have brought those `missed`. `reached_s` is the
    age of the time up to which the timetable has read; None if only a person has. `failing_s` is
    set while the provider refuses or does not answer, with `last_error`.
    """

    provider: str
    found: int
    missed: int
    newest_missed_s: float | None = None
    reached_s: float | None = None
    failing_s: float | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class MissedEvents:
    """Missed events of one type, and when the newest of them was found."""

    provider: str
    event_type: str
    events: int
    newest_at: datetime


async def read_missed_events(pool: Pool | Connection, *, since: datetime) -> list[MissedEvents]:
    """Return what was missed and found since a time, by provider and the most first.

    Given as a value, the time tells the planner that this is little of what was ever missed.
    """
    rows = await pool.fetch(
        "select f.provider, f.event_type, count(*), max(f.found_at)"
        " from (select distinct b.provider from fleet.backfills as b) as p"
        " join fleet.found_events as f on f.provider = p.provider and f.is_missed"
        " and f.found_at > $1"
        " group by f.provider, f.event_type order by f.provider, count(*) desc, f.event_type",
        since,
    )
    return [MissedEvents(*row) for row in rows]


async def read_unread_histories(pool: Pool, *, longer_than: timedelta) -> list[HistoryStatus]:
    """Return the histories that the timetable has not read for so long."""
    rows = await pool.fetch(
        "select * from fleet.backfill_statuses() as s"
        " where s.reached_s > extract(epoch from $1::interval)",
        longer_than,
    )
    return [HistoryStatus(**row) for row in rows]
