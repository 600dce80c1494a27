"""Audit log: who did what, when and why, by the console or by a command."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.console.audit import PAGE_ROWS, list_deeds
from workers.console.times import read_time
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response

    from workers.console.visit import Visit


async def show(visit: Visit) -> Response:
    """List what people did, the newest first."""
    before = _read_before(visit.query.get("before", ""))
    found = await list_deeds(visit.pool, before=before)
    deeds = found[:PAGE_ROWS]
    following = ""
    if len(found) > PAGE_ROWS:
        following = urlencode({"before": f"{deeds[-1].at.isoformat()} {deeds[-1].key}"})
    return visit.page(
        "audit.html",
        title="Audit log",
        deeds=deeds,
        following=following,
        is_first=before is None,
    )


def _read_before(text: str) -> tuple[datetime, str] | None:
    """Return where a page goes on. Raises BadInput."""
    if not text:
        return None
    at, _, key = text.partition(" ")
    moment = read_time(at)
    if moment is None or not key:
        raise BadInput("`before` is a place in the list, as the links have it.")
    return moment, key
