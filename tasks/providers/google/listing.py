"""Voids and orders that Google lists, as events of the inbox.

Each is known by what it says, so that it is stored once, however often it is listed. A refunded
order is an event too if we had it refunded ourselves.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers.google.money import reversed_share

if TYPE_CHECKING:
    from tasks.providers.google.objects import Order, VoidedRow

BACKFILL_VOIDED = "backfill.voided"
BACKFILL_ORDER = "backfill.order"
# Of orders in these states money went back, or was never taken.
REFUNDED = ("REFUNDED", "CANCELED")
PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"


def void_event_id(row: VoidedRow) -> str:
    """Return the name of the event of a row in the list of voided purchases."""
    digest = sha256(row.purchase_token.encode()).hexdigest()
    return f"void:{digest}:{row.voided_time_millis}:{row.voided_quantity or 'all'}"


def void_payload(package: str, row: VoidedRow) -> bytes:
    """Return the payload of that event."""
    return msgspec.json.encode({"package": package, "row": row})


def order_event_id(order: Order) -> str:
    """Return the name of the event of an order; one for each part of it that goes back."""
    if order.state == PARTIALLY_REFUNDED:
        parts = len(order.order_history.partial_refund_events)
        return f"order:{order.order_id}:{order.state}:{parts}:{reversed_share(order)}"
    return f"order:{order.order_id}:{order.state}"


def order_payload(package: str, order: Order) -> bytes:
    """Return the payload of that event."""
    return msgspec.json.encode({"package": package, "order": order})


def told_order(package: str, order: Order) -> dict[str, Any]:
    """Return the event of an order as the answer of a call holds it."""
    return {
        "id": order_event_id(order),
        "type": BACKFILL_ORDER,
        "payload": order_payload(package, order).decode(),
    }
