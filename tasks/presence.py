"""Presence: publish the streams that somebody watches, and forget viewers who fell silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import presence

if TYPE_CHECKING:
    from tasks.context import Context

# Streams named in one log line; the count says how many there were.
NAMED_STREAMS = 20


async def update_publish_state(ctx: Context) -> None:
    """Bring each stream's is_published to what its viewers make it."""
    switched = await presence.update_publish_state(ctx.pool)
    if switched:
        ctx.log.info(
            "streams_switched",
            published=sum(stream.is_published for stream in switched),
            unpublished=sum(not stream.is_published for stream in switched),
            streams=[stream.stream_id for stream in switched[:NAMED_STREAMS]],
        )


async def remove_stale_viewers(ctx: Context) -> None:
    """Remove viewers who were silent for 60 s, in bounded sweeps until a sweep finds fewer."""
    removed = presence.SWEEP_LIMIT
    while removed >= presence.SWEEP_LIMIT and not ctx.stopping.is_set():
        removed = await presence.remove_stale_viewers(ctx.pool, limit=presence.SWEEP_LIMIT)
        if removed:
            ctx.log.info("stale_viewers_removed", viewers=removed)
