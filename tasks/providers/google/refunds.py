"""Refunds that we make, always of whole orders, and our answers to Google's question about one.

Google's refund has no idempotency key and says nothing but "accepted", so each attempt looks at the
order first and again afterwards (PROVIDERS 0.8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from db.facts import Text
from tasks.providers.calls import CallFailed, CallRefused
from tasks.providers.google.api import GONE, GoogleApi, GoogleRefused, quoted, refused
from tasks.providers.google.listing import REFUNDED, told_order
from tasks.providers.google.objects import OrderId, Package

if TYPE_CHECKING:
    from db.outbox.provider_calls import ProviderCall
    from tasks.providers.google.objects import Order

# Google takes minutes for a refund that it has accepted.
PENDING_PAUSE_S = 60.0


class RefundRequest(msgspec.Struct):
    """The request of a call: whose money goes back."""

    package: Package
    order_id: OrderId


class ReviewRequest(msgspec.Struct):
    """The request of a call: what a person wants Google to do with the refund of an order."""

    package: Package
    order_id: OrderId
    pending_refund_token: Text
    choice: Literal["APPROVE", "DECLINE", "NEUTRAL"]


async def make_refund(api: GoogleApi, call: ProviderCall) -> dict[str, Any]:
    """Have an order refunded and its products taken back; return its state once that is done.

    Raises CallFailed while Google is still at it.
    """
    try:
        request = msgspec.convert(call.request, RefundRequest)
    except msgspec.ValidationError:
        raise CallRefused("the request names no order") from None
    order = await _look(api, request)
    if order.state not in (*REFUNDED, "PENDING_REFUND"):
        # Without `revoke` no notification and no list would tell of it.
        path = f"{quoted(request.package)}/orders/{quoted(request.order_id)}:refund?revoke=true"
        try:
            await api.send("POST", path)
        except GoogleRefused as error:
            order = await _look(api, request)
            if order.state not in (*REFUNDED, "PENDING_REFUND"):
                raise refused(error) from None
        order = await _look(api, request)
    if order.state not in REFUNDED:
        raise CallFailed(f"the order is {_name(order)}", retry_after_s=PENDING_PAUSE_S)
    return {
        "order_id": request.order_id,
        "state": order.state,
        # As the history would tell it within a day: it closes what was refunded.
        "event": told_order(request.package, order),
    }


async def review_refund(api: GoogleApi, call: ProviderCall) -> dict[str, Any]:
    """Tell Google what we want. Its first answer counts; it takes and ignores any other."""
    try:
        request = msgspec.convert(call.request, ReviewRequest)
    except msgspec.ValidationError:
        raise CallRefused("the request can't be read") from None
    body = msgspec.json.encode(
        {
            "pendingRefundToken": request.pending_refund_token,
            "refundPreference": request.choice,
            "sampleContentProvided": False,
        }
    )
    path = f"{quoted(request.package)}/orders/{quoted(request.order_id)}:reviewrefund"
    try:
        await api.send("POST", path, body)
    except GoogleRefused as error:
        if error.status in GONE:
            return {"note": "too_late"}
        raise refused(error) from None
    return {"answered": request.choice}


async def _look(api: GoogleApi, request: RefundRequest) -> Order:
    try:
        return await api.read_order(request.package, request.order_id)
    except GoogleRefused as error:
        raise refused(error) from None


def _name(order: Order) -> str:
    """Return the state of an order as a word that may stand in a log."""
    state = order.state or "UNKNOWN"
    return state if state.isascii() and state.replace("_", "").isalpha() else "UNKNOWN"
