"""What Google's events mean: pushes, submissions of clients, and rows that were listed.

Pure. A push says only that something happened to a purchase: what, its API answers.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from db.facts import StoreInquiry, StoreVoid, Verdict
from tasks.providers.google.money import WHOLE, reversed_share
from tasks.providers.google.objects import (
    LISTED_ORDER,
    LISTED_VOID,
    NOTIFICATION,
    PUSH,
    SUBMISSION,
    moment_of,
)
from tasks.providers.google.purchases import Wanted, read_purchase
from tasks.providers.reading import UNREADABLE_ERRORS, ignored, malformed, rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.google.objects import Notification, PendingRefundReview, VoidedPurchase

# Event types in the inbox that are no notifications.
CLIENT_PURCHASE = "client.purchase"
PURCHASED, PENDING_CANCELED = 1, 2
SUBSCRIPTION = 1
PARTIAL = 2
# Google decides by itself after that.
REVIEW_FOR = timedelta(hours=24)
REASON_CHARACTERS_MAX = 64


def interpret(event: ClaimedEvent, *, packages: Sequence[str]) -> Fact:
    """Return what the event means for the apps with these package names."""
    try:
        match event.event_type:
            case "client.purchase":
                return _submission(event, packages)
            case "backfill.voided":
                return _listed_void(event)
            case "backfill.order":
                return _listed_order(event)
            case _:
                return _notification(event, packages)
    except (*UNREADABLE_ERRORS, OverflowError):
        return malformed()


def read_notification(data: str) -> Notification:
    """Return the notification in the data of a push. Raises ValueError or RecursionError."""
    return NOTIFICATION.decode(b64decode(data, validate=True))


def event_type_of(told: Notification) -> str:
    """Return the type of an event, as it stands in the inbox and in metrics."""
    if told.one_time_product_notification is not None:
        number = told.one_time_product_notification.notification_type
        names = {PURCHASED: "purchased", PENDING_CANCELED: "canceled"}
        return f"one_time_product.{names.get(number, 'other')}"
    if told.voided_purchase_notification is not None:
        return "voided_purchase"
    if told.pending_refund_review_notification is not None:
        return "pending_refund_review"
    # `msgspec.UNSET` is false.
    if told.test_notification:
        return "test"
    return "subscription" if told.subscription_notification else "other"


def _notification(event: ClaimedEvent, packages: Sequence[str]) -> Fact:
    told = read_notification(PUSH.decode(event.payload).message.data)
    at = moment_of(told.event_time_millis)
    # A worker without the setting leaves it to `web`, whose subscription is our apps'.
    if packages and told.package_name not in packages:
        return rejected("other_package", detail=told.package_name)
    one_time = told.one_time_product_notification
    if one_time is not None:
        if one_time.notification_type not in (PURCHASED, PENDING_CANCELED):
            return ignored("unknown_type")
        wanted = Wanted(told.package_name, one_time.purchase_token, one_time.sku)
        return read_purchase(event, wanted)
    if told.voided_purchase_notification is not None:
        return _voided(event, told.package_name, at, told.voided_purchase_notification)
    if told.pending_refund_review_notification is not None:
        return _review(told.package_name, at, told.pending_refund_review_notification)
    return ignored(event_type_of(told))


def _voided(event: ClaimedEvent, package: str, at: datetime, void: VoidedPurchase) -> Fact:
    if void.product_type == SUBSCRIPTION:
        return ignored("subscription")
    is_partial = void.refund_type == PARTIAL
    keys = [void.purchase_token, *([void.order_id] if void.order_id else [])]
    # How many went back stands in the purchase alone.
    whole = StoreVoid(payment_keys=keys, told_at=at, store_app=package, voided_quantity=None)
    wanted = Wanted(
        package,
        void.purchase_token,
        reversed_milli_percent=0 if is_partial else WHOLE,
        if_unknown=None if is_partial else whole,
    )
    return read_purchase(event, wanted)


def _review(package: str, at: datetime, review: PendingRefundReview) -> Fact:
    reason = review.refund_reason
    is_readable = isinstance(reason, str) and reason.isprintable()
    return StoreInquiry(
        payment_keys=[review.order_id],
        inquiry_id=review.pending_refund_token,
        store_app=package,
        asked_at=at,
        deadline=at + REVIEW_FOR,
        reason=(reason[:REASON_CHARACTERS_MAX] or None) if is_readable else None,
    )


def _submission(event: ClaimedEvent, packages: Sequence[str]) -> Fact:
    told = SUBMISSION.decode(event.payload)
    if not packages:
        # Nobody knows whom to ask; dead after a few attempts, and replayed once it is set.
        return Verdict(state="failed", reason="GOOGLE_PACKAGES is missing")
    wanted = Wanted(
        ",".join(packages),
        told.body.purchase_token,
        told.body.product_id,
        submitted_by=UUID(told.profile_id),
    )
    return read_purchase(event, wanted)


def _listed_void(event: ClaimedEvent) -> Fact:
    listed = LISTED_VOID.decode(event.payload)
    row = listed.row
    return StoreVoid(
        payment_keys=[row.purchase_token, *([row.order_id] if row.order_id else [])],
        told_at=moment_of(row.voided_time_millis),
        store_app=listed.package,
        voided_quantity=row.voided_quantity,
    )


def _listed_order(event: ClaimedEvent) -> Fact:
    """Return what a refunded order means: how many of it went back, its purchase says."""
    listed = LISTED_ORDER.decode(event.payload)
    order = listed.order
    token = order.purchase_token
    at = order.last_event_time or order.create_time or event.received_at
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    keys = [*([token] if token else []), order.order_id]
    share = reversed_share(order)
    whole = StoreVoid(payment_keys=keys, told_at=at, store_app=listed.package, voided_quantity=None)
    if share == WHOLE or token is None:
        return whole if share == WHOLE else rejected("no_token", detail=order.order_id)
    wanted = Wanted(listed.package, token, order=order)
    return read_purchase(event, wanted)
