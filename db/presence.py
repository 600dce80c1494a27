"""Who is watching: heartbeats, the sweep of the silent, and what they make of publishing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

StreamId = NewType("StreamId", int)

# One sweep's bound; removing this many takes about two seconds.
SWEEP_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class SwitchedStream:
    """A stream whose publishing changed, with what it changed to."""

    stream_id: StreamId
    is_published: bool


async def update_publish_state(database: Pool | Connection) -> list[SwitchedStream]:
    """Bring each stream's is_published to what its viewers make it; gives those that changed.

    Looks only where something changed since the last call. Calls take turns.
    """
    rows = await database.fetch(
        "select stream_id, is_published from public.update_publish_state_from_viewers()"
    )
    return [SwitchedStream(*row.values()) for row in rows]


async def remove_stale_viewers(database: Pool | Connection, *, limit: int = SWEEP_LIMIT) -> int:
    """Remove up to `limit` viewers who were silent for 60 s; gives how many there were.

    A viewer heard at this moment stays, whoever comes first.
    """
    removed: int = await database.fetchval("select fleet.sweep_viewers(p_limit => $1)", limit)
    return removed
