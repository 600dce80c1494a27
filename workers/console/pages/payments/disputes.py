"""Disputes that are open: the first deadline first, or those that the provider looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.console.disputes import PAGE_ROWS, list_disputes
from workers.cli.purchases.links import page_of
from workers.cli.purchases.words import money
from workers.console.times import read_time
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit

# With so little time left, somebody should answer now.
LATE_S = 3 * 86_400.0


async def show(visit: Visit) -> Response:
    """List the open disputes."""
    state = visit.query.get("state") or "answer"
    if state not in ("answer", "review"):
        raise BadInput("`state` is answer or review.")
    after = _read_after(visit.query.get("after", ""))
    found = await list_disputes(visit.pool, is_reviewed=state == "review", after=after)
    shown = found[:PAGE_ROWS]
    kept = {} if state == "answer" else {"state": state}
    following = ""
    if len(found) > PAGE_ROWS:
        following = urlencode({**kept, "after": " ".join(shown[-1].place)})
    is_live = visit.desk.settings.stripe_livemode
    return visit.page(
        "disputes.html",
        title="Disputes",
        rows=[
            (
                each,
                money(each.amount, each.currency),
                page_of(each.provider, each.dispute_id, is_live=is_live),
                each.ends_in_s is not None and each.ends_in_s < LATE_S,
            )
            for each in shown
        ],
        state=state,
        first=urlencode(kept),
        following=following,
        is_first=after is None,
    )


def _read_after(text: str) -> tuple[str, str, str] | None:
    """Return where a page goes on. Raises BadInput."""
    if not text:
        return None
    due, _, rest = text.partition(" ")
    provider, _, dispute_id = rest.partition(" ")
    if not provider or not dispute_id:
        raise BadInput("A place in a list is as the links have it.")
    at = None if due == "infinity" else read_time(due)
    return (at.isoformat() if at else "infinity"), provider, dispute_id
