"""What became of an event, for its sender who asks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from db.connections.pool import expire_if_unfit
from db.errors import raising_unavailable

if TYPE_CHECKING:
    from db.connections.pool import Pool


class EventState(msgspec.Struct, frozen=True, kw_only=True):
    """An event by its provider's id; `processed_at` is null until its state is final."""

    id: str
    state: str
    reason: str | None
    processed_at: datetime | None


async def read_event_state(pool: Pool, provider: str, event_id: str) -> EventState | None:
    """Return the state of an event, None if it was never stored. Raises DatabaseUnavailable."""
    try:
        with raising_unavailable():
            row = await pool.fetchrow(
                "select state, reason, processed_at from fleet.event_state($1, $2)",
                provider,
                event_id,
            )
    except Exception as error:
        await expire_if_unfit(pool, error)
        raise
    return EventState(id=event_id, **row) if row else None
