"""Purchases and orders in the words of Google's API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.mock_providers.google.store import Item, Sold


def purchase_answer(sold: Sold) -> dict[str, Any]:
    """Return a ProductPurchaseV2."""
    told: dict[str, Any] = {
        "kind": "androidpublisher#productPurchaseV2",
        "purchaseStateContext": {"purchaseState": sold.state},
        "productLineItem": [_line(item) for item in sold.items],
        "regionCode": "US",
        "acknowledgementState": "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED"
        if sold.acknowledged
        else "ACKNOWLEDGEMENT_STATE_PENDING",
    }
    if sold.order_id is not None:
        told["orderId"] = sold.order_id
    if sold.account_id is not None:
        told["obfuscatedExternalAccountId"] = sold.account_id
    if sold.completed_s is not None:
        told["purchaseCompletionTime"] = _time(sold.completed_s)
    if sold.is_test:
        told["testPurchaseContext"] = {"fopType": "TEST"}
    return told


def order_answer(sold: Sold, now_s: float) -> dict[str, Any]:
    """Return an Order."""
    return {
        "orderId": sold.order_id,
        "purchaseToken": sold.token,
        "state": sold.order_state,
        "createTime": _time(sold.bought_s),
        "lastEventTime": _time(now_s),
        "total": _money(*sold.price),
        "tax": _money(sold.price[0], 0, 0),
        "orderHistory": {
            "partialRefundEvents": [
                {
                    "createTime": _time(now_s),
                    "state": "PROCESSED_SUCCESSFULLY",
                    "refundDetails": {"total": _money(*refund)},
                }
                for refund in sold.partial_refunds
            ]
        },
    }


def _line(item: Item) -> dict[str, Any]:
    details: dict[str, Any] = {
        "quantity": item.quantity,
        "consumptionState": "CONSUMPTION_STATE_CONSUMED"
        if item.consumed
        else "CONSUMPTION_STATE_YET_TO_BE_CONSUMED",
    }
    if item.tells_refundable:
        details["refundableQuantity"] = item.quantity - item.refunded
    return {"productId": item.product_id, "productOfferDetails": details}


def _money(currency: str, units: int, nanos: int) -> dict[str, Any]:
    # Google leaves out what is nothing.
    told: dict[str, Any] = {"currencyCode": currency}
    if units:
        told["units"] = str(units)
    if nanos:
        told["nanos"] = nanos
    return told


def _time(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
