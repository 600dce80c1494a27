"""Presence: the recompute of publish state and the sweep of silent viewers, as SQL does them.

Heartbeats are not written here: clients and gateways call their functions themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

StreamId = NewType("StreamId", int)

# The bound of one sweep. To remove this many takes about two seconds.
SWEEP_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class SwitchedStream:
    """A stream whose publish state changed, with the new state."""

    stream_id: StreamId
    is_published: bool


async def update_publish_state(database: Pool | Connection) -> list[SwitchedStream]:
    """Publish the streams that somebody counts on, unpublish the others; return those that changed.

    Looks only at streams where something changed since the last call. Calls run one at a time.
    """
    rows = await database.fetch(
        "select stream_id, is_published from public.update_publish_state_from_viewers()"
    )
    return [SwitchedStream(*row.values()) for row in rows]


async def remove_stale_viewers(database: Pool | Connection, *, limit: int = SWEEP_LIMIT) -> int:
    """Remove up to `limit` viewers who were silent for 60 s; return how many were removed.

    A viewer whose heartbeat arrives at the same moment stays, in whatever order the two run.
    """
    removed: int = await database.fetchval("select fleet.sweep_viewers(p_limit => $1)", limit)
    return removed
