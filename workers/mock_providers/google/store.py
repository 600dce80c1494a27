"""What Google Play knows of purchases and orders, and what it does with them as time goes by.

Its clock is the owner's. What it tells the developer is collected in `told`, as the data of pushes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "com.example.app"
# What is not acknowledged in time is refunded.
ACKNOWLEDGE_WITHIN_S, TESTERS_WITHIN_S = 3 * 86_400, 300
PURCHASED, PENDING_CANCELED = 1, 2
FULL, PARTIAL = 1, 2
UNACKNOWLEDGED = 8

State: TypeAlias = Literal["PURCHASED", "CANCELLED", "PENDING"]
Refusal: TypeAlias = tuple[int, str]


@dataclass(slots=True)
class Item:
    """A product of a purchase; of old ones Google does not say what can still be refunded."""

    product_id: str
    quantity: int = 1
    refunded: int = 0
    consumed: bool = False
    tells_refundable: bool = True


@dataclass(slots=True)
class Sold:
    """A purchase and its order. `price` is (currency, units, nanos), for the whole order."""

    token: str
    items: list[Item]
    order_id: str | None
    bought_s: float
    state: State = "PURCHASED"
    completed_s: float | None = None
    account_id: str | None = None
    package: str = PACKAGE
    price: tuple[str, int, int] = ("USD", 0, 990_000_000)
    acknowledged: bool = False
    is_test: bool = False
    is_gone: bool = False
    refund_takes_reads: int = 0
    """How often a refund is pending when its order is read."""
    order_state: str = "PROCESSED"
    partial_refunds: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Store:
    """All purchases, by token."""

    now_s: float = field(default_factory=lambda: datetime.now(UTC).timestamp())
    sold: dict[str, Sold] = field(default_factory=dict)
    voided: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """Rows of the list of voided purchases, each with the time from which it is listed."""
    voids_are_late_s: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)
    answered_reviews: dict[str, str] = field(default_factory=dict)
    """What counts for each pending refund: the first answer."""
    orders: str = "GPA.3300-0000-0000"
    """What the ids of all orders begin with."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def sell(self, *items: Item, pending: bool = False, tells: bool = True, **changes: Any) -> Sold:
        """Sell products; the developer is told unless `tells` is false."""
        number = next(self._numbers)
        sold = Sold(
            token=f"token.{number:04}-abcdefghijklmnopqrstuvwxyz",
            items=list(items),
            order_id=f"{self.orders}-{number:05}",
            bought_s=self.now_s,
        )
        for name, value in changes.items():
            setattr(sold, name, value)
        if pending:
            sold.state, sold.order_state = "PENDING", "PENDING"
        else:
            sold.completed_s = self.now_s
        self.sold[sold.token] = sold
        if tells and not pending:
            self._tell_one_time(sold, PURCHASED)
        return sold

    def complete(self, sold: Sold) -> None:
        """Take the money for a pending purchase."""
        sold.state, sold.order_state, sold.completed_s = "PURCHASED", "PROCESSED", self.now_s
        self._tell_one_time(sold, PURCHASED)

    def cancel_pending(self, sold: Sold) -> None:
        """Cancel a purchase that was never paid."""
        sold.state, sold.order_state = "CANCELLED", "CANCELED"
        self._tell_one_time(sold, PENDING_CANCELED)

    def wait(self, *, seconds: float = 0, hours: float = 0) -> None:
        """Let time pass; refund what was not acknowledged in it."""
        self.now_s += seconds + hours * 3_600
        for sold in self.sold.values():
            limit_s = TESTERS_WITHIN_S if sold.is_test else ACKNOWLEDGE_WITHIN_S
            late = sold.completed_s is not None and self.now_s - sold.completed_s > limit_s
            if late and sold.state == "PURCHASED" and not sold.acknowledged:
                self._void(sold, source=2, reason=UNACKNOWLEDGED)

    def refund(self, sold: Sold, *, revoke: bool) -> None:
        """Refund a whole order. Without `revoke` it is in no list, and nobody is told."""
        if sold.refund_takes_reads and sold.order_state == "PROCESSED":
            sold.order_state = "PENDING_REFUND"
            return
        sold.order_state = "REFUNDED"
        if revoke:
            self._void(sold, source=1, reason=0)

    def refund_some(self, sold: Sold, item: Item, quantity: int) -> None:
        """Refund some of a product, as a buyer's request does."""
        item.refunded += quantity
        sold.order_state = "PARTIALLY_REFUNDED"
        total = sum(each.quantity for each in sold.items)
        currency, units, nanos = sold.price
        paid = (units * 10**9 + nanos) * quantity // total
        sold.partial_refunds.append((currency, paid // 10**9, paid % 10**9))
        row = self._row(sold, source=0, reason=0) | {"voidedQuantity": quantity}
        self.voided.append((self.now_s + self.voids_are_late_s, row))
        self._tell_void(sold, PARTIAL)

    def ask_about(self, sold: Sold, reason: str = "CHARGEBACK") -> str:
        """Ask the developer about a refund; return the token of the question."""
        token = f"pending.{next(self._numbers)}"
        review = {"pendingRefundToken": token, "orderId": sold.order_id, "refundReason": reason}
        self._tell(sold.package, pendingRefundReviewNotification=review)
        return token

    def acknowledge(self, sold: Sold) -> Refusal | None:
        """Return why it can't be acknowledged, if so."""
        if sold.state == "CANCELLED":
            return 400, "productNotOwnedByUser"
        if sold.state == "PENDING" or sold.acknowledged:
            return 400, "invalidPurchaseState"
        sold.acknowledged = True
        return None

    def consume(self, sold: Sold, product_id: str) -> Refusal | None:
        """Return why a product can't be consumed, if so."""
        item = next((each for each in sold.items if each.product_id == product_id), None)
        if item is None:
            return 404, "notFound"
        if sold.state == "CANCELLED":
            return 400, "productNotOwnedByUser"
        if sold.state == "PENDING" or item.consumed:
            return 400, "invalidPurchaseState"
        item.consumed = sold.acknowledged = True
        return None

    def _void(self, sold: Sold, *, source: int, reason: int) -> None:
        sold.state, sold.order_state = "CANCELLED", "REFUNDED"
        for item in sold.items:
            item.refunded = item.quantity
        self.voided.append((self.now_s + self.voids_are_late_s, self._row(sold, source, reason)))
        self._tell_void(sold, FULL)

    def _row(self, sold: Sold, source: int, reason: int) -> dict[str, Any]:
        return {
            "kind": "androidpublisher#voidedPurchase",
            "purchaseToken": sold.token,
            "purchaseTimeMillis": str(int(sold.bought_s * 1_000)),
            "voidedTimeMillis": str(int(self.now_s * 1_000)),
            "orderId": sold.order_id,
            "voidedSource": source,
            "voidedReason": reason,
        }

    def _tell_one_time(self, sold: Sold, kind: int) -> None:
        told = {
            "version": "1.0",
            "notificationType": kind,
            "purchaseToken": sold.token,
            "sku": sold.items[0].product_id,
        }
        self._tell(sold.package, oneTimeProductNotification=told)

    def _tell_void(self, sold: Sold, refund_type: int) -> None:
        told = {
            "purchaseToken": sold.token,
            "orderId": sold.order_id,
            "productType": 2,
            "refundType": refund_type,
        }
        self._tell(sold.package, voidedPurchaseNotification=told)

    def _tell(self, package: str, **notification: Any) -> None:
        self.told.append(
            {
                "version": "1.0",
                "packageName": package,
                "eventTimeMillis": str(int(self.now_s * 1_000)),
            }
            | notification
        )
