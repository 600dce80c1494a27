"""Purchases as Google's API answers them: what was bought, by whom, and what of it went back.

Nothing is granted for what a notification or a client says: only what was read here counts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from db.facts import NO_ANSWER_YET, Call, LineItem, Question, StorePurchase
from tasks.providers import reading
from tasks.providers.google.money import WHOLE, price_of, reversed_share
from tasks.providers.google.objects import FETCHED
from tasks.providers.reading import ignored, malformed, rejected

if TYPE_CHECKING:
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.google.objects import Fetched, Order, ProductPurchase

FETCH_PURCHASE = "google.fetch_purchase"
# A purchase that was made a moment ago may not be known everywhere yet.
UNKNOWN_FOR_S = 600
# Pauses between two reads grow with the age of the event, from the first to the last of these.
PAUSE_S_MIN, PAUSE_S_MAX = 30, 3_600
CONSUMED = "CONSUMPTION_STATE_CONSUMED"
ACKNOWLEDGED = "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED"


class Wanted(NamedTuple):
    """What an event says of a purchase: whose token, and what else is to be true of it.

    `packages` are the apps that may have sold it, with commas. `reversed_milli_percent` is what the
    event itself tells, and `order` what was listed of it. `if_unknown` is what the event means if
    Google does not know the token.
    """

    packages: str
    token: str
    product_id: str | None = None
    submitted_by: UUID | None = None
    reversed_milli_percent: int = 0
    order: Order | None = None
    if_unknown: Fact | None = None


def read_purchase(event: ClaimedEvent, wanted: Wanted) -> Fact:
    """Return what the purchase means, or the question for it. Raises ValueError."""
    if event.answer is None:
        return _question(event, wanted)
    fetched = FETCHED.decode(event.answer)
    purchase = fetched.purchase
    if purchase is None:
        return _unknown(event, wanted, fetched)
    match purchase.purchase_state_context.purchase_state:
        case "PURCHASED":
            return _bought(wanted, fetched, purchase)
        case "CANCELLED":
            # One that was never paid, or one that was paid and went back.
            if purchase.purchase_completion_time is None:
                return ignored("canceled")
            return _bought(wanted._replace(reversed_milli_percent=WHOLE), fetched, purchase)
        case _:
            # Neither granted nor acknowledged before it is paid.
            return _question(event, wanted, reason="not_paid_yet", age_s=_age_s(event, fetched))


def _bought(wanted: Wanted, fetched: Fetched, purchase: ProductPurchase) -> Fact:
    """Return the purchase as a fact. Raises ValueError."""
    lines = purchase.product_line_item
    completed_at = purchase.purchase_completion_time
    if not lines or completed_at is None or fetched.package is None:
        return malformed()
    if wanted.product_id not in (None, *(line.product_id for line in lines)):
        return rejected("other_product", detail=purchase.order_id)
    order = fetched.order or wanted.order
    price = price_of(order.total) if order else None
    back = reversed_share(order) if order else 0
    buyer = purchase.obfuscated_external_account_id or None
    profile_id = _as_uuid(buyer)
    keys = [wanted.token, *([purchase.order_id] if purchase.order_id else [])]
    return StorePurchase(
        provider_payment_id=wanted.token,
        payment_keys=keys,
        store_app=fetched.package,
        purchased_at=_utc(completed_at),
        told_at=_read_at(fetched),
        line_items=_line_items(purchase),
        reversed_milli_percent=max(wanted.reversed_milli_percent, back),
        profile_id=profile_id,
        buyer_unreadable=buyer is not None and profile_id is None,
        submitted_by=wanted.submitted_by,
        amount_minor=price.amount_minor if price else None,
        currency=price.currency if price else None,
        country_code=reading.country_code(purchase.region_code),
        is_sandbox=purchase.test_purchase_context is not None,
        is_acknowledged=purchase.acknowledgement_state == ACKNOWLEDGED,
        is_consumed=all(line.product_offer_details.consumption_state == CONSUMED for line in lines),
    )


def _line_items(purchase: ProductPurchase) -> list[LineItem]:
    """Return each product once. What can't be refunded any more was refunded."""
    found: dict[str, LineItem] = {}
    for line in purchase.product_line_item:
        details = line.product_offer_details
        back = None
        if details.refundable_quantity is not None:
            back = max(0, details.quantity - details.refundable_quantity)
        known = found.get(line.product_id)
        quantity = details.quantity
        if known is not None:
            quantity += known.quantity
            back = None if back is None else back + (known.reversed_quantity or 0)
        found[line.product_id] = LineItem(
            product_id=line.product_id, quantity=quantity, reversed_quantity=back
        )
    return [*found.values()]


def _unknown(event: ClaimedEvent, wanted: Wanted, fetched: Fetched) -> Fact:
    age_s = _age_s(event, fetched)
    if age_s < UNKNOWN_FOR_S:
        # The last look is when that time is over, and not up to twice as late.
        pause_s = min(age_s, UNKNOWN_FOR_S - age_s)
        return _question(event, wanted, reason="unknown_token_yet", age_s=pause_s)
    return wanted.if_unknown or rejected("unknown_token")


def _question(
    event: ClaimedEvent, wanted: Wanted, *, reason: str = NO_ANSWER_YET, age_s: float | None = None
) -> Question:
    """Return the question for the purchase; with `age_s` for the next of several, after a pause."""
    pause_s = None if age_s is None else int(min(max(age_s, PAUSE_S_MIN), PAUSE_S_MAX))
    call = Call(
        kind=FETCH_PURCHASE,
        key=f"coinfleet:fetch:{event.provider_event_id}",
        request={"package": wanted.packages, "token": wanted.token},
        again_after_s=pause_s,
    )
    return Question(call=call, reason=reason)


def _age_s(event: ClaimedEvent, fetched: Fetched) -> float:
    """Return how old the event was when Google was asked; clocks may differ by a little."""
    return max(0.0, (_read_at(fetched) - event.received_at).total_seconds())


def _read_at(fetched: Fetched) -> datetime:
    at = reading.moment(fetched.read_at)
    if at is None:
        raise ValueError("no time of the answer")
    return at


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _as_uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
