"""Payments: a list that can be filtered and bookmarked, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args
from uuid import UUID

from db.console.event_list import list_providers
from db.console.payment_list import STATES, PaymentFilter, State, list_payments
from workers.cli.purchases.words import money
from workers.console.pages.links import links_of
from workers.console.times import read_time
from workers.console.visit import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from workers.console.visit import Visit

# The fields of the filter, as they stand in the address.
FIELDS = ("state", "provider", "buyer", "since", "until")
MEANINGS: Mapping[State, str] = {
    "held": "held, or rejected and not refunded yet",
    "confirmed": "granted",
    "reversed": "some coins taken back",
    "refunded": "refunded whole",
    "chargeback": "lost in a dispute",
}


async def show(visit: Visit) -> Response:
    """List the payments that the filter means."""
    given = {name: visit.query[name] for name in FIELDS if visit.query.get(name)}
    before = visit.place("before")
    page = await list_payments(visit.pool, _read_filter(given), before=before)
    return visit.page(
        "payments.html",
        title="Payments",
        given=given,
        states=MEANINGS,
        providers=await list_providers(visit.pool),
        rows=[(each, money(each.amount, each.currency)) for each in page.rows],
        **links_of(page, given, before=before),
    )


def _read_filter(given: Mapping[str, str]) -> PaymentFilter:
    """Return the filter. Raises BadInput."""
    state = next((each for each in STATES if each == given.get("state")), None)
    if state is None and "state" in given:
        raise BadInput(f"A state is one of {', '.join(get_args(State))}.")
    try:
        buyer = UUID(given["buyer"]) if "buyer" in given else None
    except ValueError:
        raise BadInput("A buyer is the id of a profile, a uuid.") from None
    return PaymentFilter(
        state=state,
        provider=given.get("provider"),
        profile_id=buyer,
        since=read_time(given.get("since")),
        until=read_time(given.get("until")),
    )
