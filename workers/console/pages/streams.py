"""Streams: who is published, with how many viewers, and what was switched of late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.stream_list import SHOWN, list_changes, list_streams
from workers.console.pages.links import links_of
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit


async def show(visit: Visit) -> Response:
    """List the streams, the newest first, and the newest switches, of one stream if it is named."""
    shown = visit.query.get("state") or None
    if shown is not None and shown not in SHOWN:
        raise BadInput(f"A stream is shown if it is {' or '.join(SHOWN)}; or any.")
    before = visit.place("before")
    stream_id = visit.place("id")
    page = await list_streams(visit.pool, shown=shown, before=before)
    kept = {"state": shown} if shown else {}
    return visit.page(
        "streams.html",
        title="Streams",
        shown=shown,
        states=SHOWN,
        stream_id=stream_id,
        changes=await list_changes(visit.pool, stream_id=stream_id),
        **links_of(page, kept, before=before),
    )
