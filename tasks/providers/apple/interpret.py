"""What Apple's notifications, and transactions that clients submit, mean for coins.

A purchase grants only if Apple or a client tells it as one; whatever else tells of a transaction
says how much of it is refunded. What a transaction says is read in transactions.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from db.facts import StoreInquiry
from tasks.providers.apple.jws import read_payload
from tasks.providers.apple.objects import Consumable, Notification, Payload, StoredSubmission
from tasks.providers.apple.transactions import (
    moment,
    purchase_of,
    read_consumable,
    snapshot_of,
)
from tasks.providers.reading import UNREADABLE_ERRORS, identifier, ignored, malformed
from tasks.providers.signed import NotAuthentic

if TYPE_CHECKING:
    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent

CLIENT_PURCHASE = "client.purchase"
# Apple heeds an answer within this time.
ANSWER_WITHIN = timedelta(hours=12)

_NOTIFICATION = msgspec.json.Decoder(Notification)
_SUBMISSION = msgspec.json.Decoder(StoredSubmission)
_PAYLOAD = msgspec.json.Decoder(Payload)


def interpret(event: ClaimedEvent) -> Fact:
    """Return what an event means for coins: pure and total, any bytes mean something.

    Nothing is verified here: that was done before the event was stored.
    """
    try:
        if event.event_type == CLIENT_PURCHASE:
            return _read_submission(_SUBMISSION.decode(event.payload))
        signed = _NOTIFICATION.decode(event.payload).signedPayload
        return _read_notification(read_payload(signed, _PAYLOAD))
    except (NotAuthentic, *UNREADABLE_ERRORS):
        return malformed()


def _read_submission(submission: StoredSubmission) -> Fact:
    told = read_consumable(submission.body.signed_transaction)
    if not isinstance(told, Consumable):
        return ignored(told)
    return purchase_of(told, submitted_by=UUID(submission.profile_id))


def _read_notification(payload: Payload) -> Fact:
    signed = payload.data.signedTransactionInfo if payload.data else None
    if signed is None:
        return ignored(_why_nothing(payload))
    told = read_consumable(signed)
    if not isinstance(told, Consumable):
        return ignored(told)
    match payload.notificationType:
        case "ONE_TIME_CHARGE":
            return purchase_of(told)
        case "CONSUMPTION_REQUEST":
            return _inquiry_of(payload, told)
        case "REFUND_REVERSED":
            return snapshot_of(told, is_given_back=True)
        case _:
            return snapshot_of(told)


def _inquiry_of(payload: Payload, told: Consumable) -> StoreInquiry:
    """Return Apple's question about a refund that the customer wants."""
    snapshot = snapshot_of(told)
    asked_at = moment(payload.signedDate or told.signedDate)
    reason = payload.data.consumptionRequestReason if payload.data else None
    return StoreInquiry(
        payment_keys=snapshot.payment_keys,
        inquiry_id=told.transactionId,
        store_app=told.bundleId,
        asked_at=asked_at,
        deadline=asked_at + ANSWER_WITHIN,
        reason=identifier(reason),
        told=snapshot,
        is_sandbox=snapshot.is_sandbox,
    )


def _why_nothing(payload: Payload) -> str:
    """Return why a notification without a transaction means nothing."""
    if payload.summary is not None:
        return "summary"
    if payload.externalPurchaseToken is not None:
        return "external_purchase_token"
    if payload.appData is not None:
        return "rescind_consent"
    return "test" if payload.notificationType == "TEST" else "no_transaction"
