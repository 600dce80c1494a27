"""What Google sends and answers: the fields that we read, with their types.

What decides about money is strict, so that a value of another type is no purchase. Fields that are
not named here are left out wherever they stand.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from db.facts import Quantity, Text

# Google's own numbers in JSON: 64-bit integers are text.
Digits = Annotated[str, Meta(pattern=r"\A[0-9]{1,15}\Z")]
Token = Annotated[str, Meta(pattern=r"\A[!-~]{1,512}\Z")]
Package = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.]{1,255}\Z")]
OrderId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,255}\Z")]


class Message(msgspec.Struct, rename="camel"):
    """The message in a push; `data` is base64."""

    message_id: str
    data: str


class Push(msgspec.Struct):
    """The body of a push of Pub/Sub."""

    message: Message


class OneTimeProduct(msgspec.Struct, rename="camel"):
    """A purchase was made (1), or one that was pending was canceled (2)."""

    notification_type: int
    purchase_token: Token
    sku: Text


class VoidedPurchase(msgspec.Struct, rename="camel"):
    """A purchase went back: a subscription (1) or a one-time product (2), whole (1) or a part."""

    purchase_token: Token
    product_type: int
    order_id: OrderId | None = None
    refund_type: int = 1


class PendingRefundReview(msgspec.Struct, rename="camel"):
    """Google asks whether it should refund an order."""

    pending_refund_token: Text
    order_id: OrderId
    refund_reason: Any = None


class Notification(msgspec.Struct, rename="camel"):
    """The `data` of a message; it has one of the notifications."""

    package_name: Package
    event_time_millis: Digits
    one_time_product_notification: OneTimeProduct | None = None
    voided_purchase_notification: VoidedPurchase | None = None
    pending_refund_review_notification: PendingRefundReview | None = None
    subscription_notification: msgspec.Raw | UnsetType = UNSET
    test_notification: msgspec.Raw | UnsetType = UNSET


class Submitted(msgspec.Struct):
    """What a client submits."""

    product_id: Text
    purchase_token: Token


class Submission(msgspec.Struct):
    """The stored event of a submission: who submitted what."""

    profile_id: str
    body: Submitted


class OfferDetails(msgspec.Struct, rename="camel"):
    """How many of a product were bought and how many of them can still be refunded."""

    quantity: Quantity = 1
    refundable_quantity: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    consumption_state: str | None = None


class ProductLine(msgspec.Struct, rename="camel"):
    """One product of a purchase."""

    product_id: Text
    product_offer_details: OfferDetails = msgspec.field(default_factory=OfferDetails)


class PurchaseState(msgspec.Struct, rename="camel"):
    """PURCHASED, CANCELLED or PENDING."""

    purchase_state: str | None = None


class TestContext(msgspec.Struct):
    """Says by being there that a purchase cost nothing."""


class ProductPurchase(msgspec.Struct, rename="camel", omit_defaults=True):
    """A ProductPurchaseV2; without `purchase_completion_time` it was never paid."""

    product_line_item: Annotated[list[ProductLine], Meta(max_length=20)] = msgspec.field(
        default_factory=list
    )
    purchase_state_context: PurchaseState = msgspec.field(default_factory=PurchaseState)
    test_purchase_context: TestContext | None = None
    order_id: OrderId | None = None
    obfuscated_external_account_id: str | None = None
    region_code: str | None = None
    purchase_completion_time: datetime | None = None
    acknowledgement_state: str | None = None


class Money(msgspec.Struct, rename="camel"):
    """An amount: whole units, as text, and billionths of one."""

    currency_code: str
    units: Annotated[str, Meta(pattern=r"\A-?[0-9]{1,15}\Z")] = "0"
    nanos: Annotated[int, Meta(gt=-1_000_000_000, lt=1_000_000_000)] = 0


class RefundDetails(msgspec.Struct, rename="camel"):
    """What a refund paid back, tax included."""

    total: Money | None = None


class PartialRefund(msgspec.Struct, rename="camel"):
    """A refund of a part of an order."""

    state: str | None = None
    refund_details: RefundDetails | None = None


class OrderHistory(msgspec.Struct, rename="camel"):
    """What became of an order, and when."""

    partial_refund_events: list[PartialRefund] = msgspec.field(default_factory=list)


class Order(msgspec.Struct, rename="camel", omit_defaults=True):
    """An order: what was paid, and what became of it."""

    order_id: OrderId
    state: str | None = None
    purchase_token: Token | None = None
    total: Money | None = None
    create_time: datetime | None = None
    last_event_time: datetime | None = None
    order_history: OrderHistory = msgspec.field(default_factory=OrderHistory)


class Fetched(msgspec.Struct):
    """The stored answer: the purchase, or `unknown`, the status with which Google denied it."""

    read_at: int
    package: Package | None = None
    purchase: ProductPurchase | None = None
    order: Order | None = None
    unknown: int | None = None


class VoidedRow(msgspec.Struct, rename="camel"):
    """A row of the list of voided purchases; without `voided_quantity` all of it went back."""

    purchase_token: Token
    voided_time_millis: Digits
    order_id: OrderId | None = None
    voided_quantity: Quantity | None = None


class ListedVoid(msgspec.Struct):
    """The stored event of such a row."""

    package: Package
    row: VoidedRow


class ListedOrder(msgspec.Struct):
    """The stored event of an order that is refunded."""

    package: Package
    order: Order


def moment_of(millis: Digits) -> datetime:
    """Return the time of Google's milliseconds since 1970. Raises ValueError for the year 10000."""
    return datetime.fromtimestamp(int(millis) / 1_000, UTC)


PUSH = msgspec.json.Decoder(Push)
NOTIFICATION = msgspec.json.Decoder(Notification)
SUBMITTED = msgspec.json.Decoder(Submitted)
SUBMISSION = msgspec.json.Decoder(Submission)
FETCHED = msgspec.json.Decoder(Fetched)
LISTED_VOID = msgspec.json.Decoder(ListedVoid)
LISTED_ORDER = msgspec.json.Decoder(ListedOrder)
