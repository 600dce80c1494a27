"""Traces: the spans in which events were received, for the span of the batch that applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Pool
    from db.inbox.batches import EventId


async def read_traces(pool: Pool, event_ids: Sequence[EventId]) -> list[str]:
    """Return the `traceparent` of each of these events that was traced when it was received."""
    rows = await pool.fetch("select traceparent from fleet.traces_of_events($1)", event_ids)
    return [row["traceparent"] for row in rows]
