"""What `coinfleet status` asks beside the vital signs: which events need a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from db.pool import Pool


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that only a person ends; `last_error` is for one that failed."""

    id: int
    provider: str
    provider_event_id: str
    event_type: str
    reason: str
    received_at: datetime
    last_error: str | None


async def read_clock(pool: Pool) -> datetime:
    """Give the database's time, by which everything else here is dated."""
    now: datetime = await pool.fetchval("select clock_timestamp()")
    return now


async def newest_parked_events(
    pool: Pool, state: Literal["held", "dead"], *, limit: int
) -> list[ParkedEvent]:
    """Give the newest events in this state."""
    rows = await pool.fetch(
        "select id, provider, provider_event_id, event_type, reason, received_at, last_error"
        " from fleet.inbox_events where state = $1 order by id desc limit $2",
        state,
        limit,
    )
    return [ParkedEvent(*row) for row in rows]
