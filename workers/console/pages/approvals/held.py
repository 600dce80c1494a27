"""Held: what waits for a person, the oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from db.console.held_list import list_held
from workers.cli.purchases.words import dollars, money
from workers.console.times import read_place, write_place
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from starlette.responses import Response

    from db.approvals.decisions import Held
    from workers.console.visit import Visit

# The reasons for which something is held, and what each means in a few words.
REASONS = {
    "needs_approval": "a large purchase",
    "over_limit": "beyond the limit of a purchase or an account",
    "velocity": "many purchases within a minute",
    "unknown_buyer": "nobody knows whose it is",
    "unknown_product": "not in the price list",
    "wrong_amount": "not the price of the list",
    "no_fx_rate": "no rate for its currency",
    "id_conflict": "its ids are another purchase's",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list."""

    held: Held
    link: str
    why: str
    paid: str
    worth: str
    expires_at: datetime | None
    expires_in_s: float | None


async def show(visit: Visit) -> Response:
    """List what is held; the address holds the reason and the place in the list."""
    reason = visit.query.get("reason") or None
    if reason is not None and reason not in REASONS:
        raise BadInput(f"A reason is one of {', '.join(REASONS)}.")
    place = read_place(visit.query.get("after", ""), numbers=2)
    after = (place[0], place[1][0], place[1][1]) if place else None
    page = await list_held(visit.pool, reason=reason, after=after)
    kept = {"reason": reason} if reason else {}
    following = ""
    if page.following:
        following = urlencode({**kept, "after": write_place(*page.following)})
    return visit.page(
        "held.html",
        title="Approvals",
        rows=[_row(each, page.expires_after) for each in page.held],
        reason=reason,
        reasons=REASONS,
        following=following,
        first=urlencode(kept),
        is_first=after is None,
    )


def _row(each: Held, expires_after: timedelta | None) -> Row:
    link = f"/approvals/purchases/{each.purchase_id}"
    if each.purchase_id is None:
        link = f"/approvals/events/{each.event_id}"
    expires_at = expires_in_s = None
    if expires_after is not None and each.waits_for != "refund":
        expires_at = each.held_since + expires_after
        expires_in_s = expires_after.total_seconds() - each.age_s
    return Row(
        held=each,
        link=link,
        why=REASONS.get(each.reason, each.reason),
        paid=money(each.amount, each.currency),
        worth=dollars(each.usd_amount),
        expires_at=expires_at,
        expires_in_s=expires_in_s,
    )
