"""Presence: publishes the streams that somebody watches, and removes viewers who are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import presence

if TYPE_CHECKING:
    from tasks.context import Context

# A log line names so many streams at most; its counts are of all.
NAMED_STREAMS_MAX = 20


async def update_publish_state(ctx: Context) -> None:
    """Set `is_published` of each stream as its viewers require."""
    switched = await presence.update_publish_state(ctx.pool)
    if switched:
        ctx.log.info(
            "streams_switched",
            published=sum(stream.is_published for stream in switched),
            unpublished=sum(not stream.is_published for stream in switched),
            streams=[stream.stream_id for stream in switched[:NAMED_STREAMS_MAX]],
        )


async def remove_stale_viewers(ctx: Context) -> None:
    """Remove viewers without a heartbeat for 60 s, so many per sweep, until none is left."""
    removed = presence.SWEEP_LIMIT
    while removed >= presence.SWEEP_LIMIT and not ctx.stopping.is_set():
        removed = await presence.remove_stale_viewers(ctx.pool, limit=presence.SWEEP_LIMIT)
        if removed:
            ctx.log.info("stale_viewers_removed", viewers=removed)
