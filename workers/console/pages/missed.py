"""Missed events: how far each provider's history is read, and what no webhook had brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.found_list import list_found
from db.health.status import read_clock
from db.health.vital_signs import read_vital_signs
from workers.cli.status.histories import UNREAD_AFTER, find_missed
from workers.console.pages.links import links_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit

# Stripe lists no event that is older; the others keep theirs for longer.
LISTED_DAYS = 30


async def show(visit: Visit) -> Response:
    """Say first what needs a person, then each history, then the events."""
    before = visit.place("before")
    all_found = visit.query.get("all") == "yes"
    now = await read_clock(visit.pool)
    signs = await read_vital_signs(visit.pool, timeout_s=5)
    page = await list_found(visit.pool, all_found=all_found, before=before)
    kept = {"all": "yes"} if all_found else {}
    return visit.page(
        "missed.html",
        title="Missed events",
        attention=[each.line for each in await find_missed(visit.pool, now=now)],
        histories=signs.backfills,
        unread_after_s=UNREAD_AFTER.total_seconds(),
        listed_s=LISTED_DAYS * 86_400.0,
        all_found=all_found,
        **links_of(page, kept, before=before),
    )
