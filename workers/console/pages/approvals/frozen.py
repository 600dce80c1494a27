"""Frozen purchases: whose coins can't be spent, by what, until when, and a person's release."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from db.approvals.decisions import DecisionRefused, read_purchase
from db.approvals.freezes import read_frozen, release
from workers.console.pages.approvals.forms import (
    CONFLICT,
    StaleForm,
    read_reason,
    read_seen,
    refuse_own,
    refuse_stale,
)
from workers.console.rights import Right
from workers.console.visit import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from workers.console.visit import Visit

SHOWN_MAX = 200


async def show(visit: Visit) -> Response:
    """List what is frozen, the longest frozen first."""
    return await _page(visit)


async def let_go(visit: Visit) -> Response:
    """Release one for good: only what is new freezes it again."""
    purchase_id = visit.id_of("purchase_id")
    reason, seen = read_reason(visit), read_seen(visit)
    released: Sequence[str] = ()
    try:
        async with visit.acting() as connection:
            look = await read_purchase(connection, purchase_id)
            if look is not None:
                refuse_own(visit, look.profile_id)
            done = await release(
                connection, purchase_id, reason=reason, typed_by=visit.origin, who=visit.person.name
            )
            released = done.released
            refuse_stale(is_same=sorted(released) == sorted(seen.split(", ")))
    except StaleForm:
        what = f"{', '.join(released)} freezes it" if released else "nothing freezes it"
        fault = f"Nothing was done to purchase {purchase_id}. By now {what}: you saw {seen}."
        return await _page(visit, status=CONFLICT, fault=fault)
    except DecisionRefused as error:
        raise NotFound(f"Nothing was done: {error}.") from error
    return visit.go_to(f"/approvals/frozen?released={purchase_id}")


async def _page(visit: Visit, *, status: int = HTTPStatus.OK, fault: str = "") -> Response:
    async with visit.pool.acquire() as connection:
        found = await read_frozen(connection, limit=SHOWN_MAX)
    released = visit.query.get("released", "")
    frozen = {str(each.purchase_id) for each in found}
    return visit.page(
        "frozen.html",
        status=status,
        title="Frozen purchases",
        found=found,
        is_cut=len(found) == SHOWN_MAX,
        fault=fault,
        typed=visit.form,
        # What is on the list is frozen, whatever the address says.
        released=released if released.isdigit() and released not in frozen else "",
        may_decide=visit.may(Right.APPROVE),
    )
