"""Reads Stripe's events about money that goes back, or may: refunds, totals, disputes, suspicions.

Only says what each event tells. How many coins that takes or freezes is decided in SQL, from all
facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from db.facts import (
    ChargeFailed,
    Dispute,
    DisputeTransaction,
    PaymentFreeze,
    Refund,
    RefundTotal,
)
from tasks.providers.reading import ignored, moment
from tasks.providers.stripe import objects
from tasks.providers.stripe.names import payment_keys

if TYPE_CHECKING:
    from datetime import datetime

    from db.facts import Fact
    from tasks.providers.stripe.objects import EventData

_CHARGE = msgspec.json.Decoder(objects.Data[objects.Charge])
_FAILED_CHARGE = msgspec.json.Decoder(objects.Data[objects.FailedCharge])
_REFUND = msgspec.json.Decoder(objects.Data[objects.Refund])
_DISPUTE = msgspec.json.Decoder(objects.Data[objects.Dispute])
_SUSPICION = msgspec.json.Decoder(objects.Data[objects.Suspicion])


def read_refund(event: EventData) -> Fact:
    """Return one refund with its present status."""
    refund = _REFUND.decode(event.data).object
    keys = payment_keys(refund.payment_intent, refund.charge)
    if not keys:
        return ignored("no_payment")
    return Refund(
        # Its own id too: events that name its charge and others that name its intent then join.
        payment_keys=[*keys, refund.id],
        told_at=event.at,
        refund_created_at=moment(refund.created) or event.at,
        refund_id=refund.id,
        amount_minor=refund.amount,
        # Without a status, or with one that is new to us, the refund is on its way.
        status=refund.status if refund.status in _REFUND_STATUSES else "pending",
    )


_REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")


def read_charge_refunded(event: EventData) -> Fact:
    """Return the total that was refunded of a charge so far.

    Stripe includes what was authorised and not captured, which is money that was never taken. A
    charge of which nothing was captured bought nothing, so its refunds take no coins either.
    """
    charge = _CHARGE.decode(event.data).object
    keys = payment_keys(charge.payment_intent, charge.id)
    if charge.captured is False:
        return ignored("not_captured", keys)
    uncaptured, captured = None, charge.amount
    if charge.amount is not None and charge.amount_captured is not None:
        uncaptured = max(charge.amount - charge.amount_captured, 0)
        captured = charge.amount_captured
    return RefundTotal(
        payment_keys=keys,
        told_at=event.at,
        cumulative_minor=charge.amount_refunded,
        uncaptured_minor=uncaptured,
        amount_minor=captured,
        currency=_lower(charge.currency),
    )


def read_charge_failed(event: EventData) -> Fact:
    """Return that a charge failed after its money had come; any other failed charge is ignored."""
    charge = _FAILED_CHARGE.decode(event.data).object
    if charge.failure_balance_transaction is None:
        return ignored("charge_failed")
    return ChargeFailed(payment_keys=payment_keys(charge.payment_intent, charge.id))


def read_dispute(event: EventData) -> Fact:
    """Return a dispute: its status, its amount and the money that was moved because of it.

    The type of the event adds nothing to that.
    """
    dispute = _DISPUTE.decode(event.data).object
    keys = payment_keys(dispute.payment_intent, dispute.charge)
    if not keys:
        return ignored("no_payment")
    return Dispute(
        payment_keys=[*keys, dispute.id],
        told_at=event.at,
        opened_at=moment(dispute.created),
        due_at=_due_at(dispute.evidence_details),
        dispute_id=dispute.id,
        status=dispute.status if dispute.status in _DISPUTE_STATUSES else "unknown",
        amount_minor=dispute.amount,
        currency=_lower(dispute.currency),
        transactions=[
            DisputeTransaction(id=moved.id, amount=moved.amount, currency=_lower(moved.currency))
            for moved in dispute.balance_transactions or []
        ],
    )


def _due_at(details: Any) -> datetime | None:
    """Return until when Stripe takes evidence; None if it takes none, or does not say."""
    return moment(details.get("due_by")) if isinstance(details, dict) else None


_DISPUTE_STATUSES = (
    *("warning_needs_response", "warning_under_review", "warning_closed"),
    *("needs_response", "under_review", "won", "lost", "prevented"),
)


def read_warning(event: EventData) -> Fact:
    """Return an early fraud warning: Stripe never ends one."""
    found = _SUSPICION.decode(event.data).object
    return _freeze(event, found, "early_fraud_warning", is_open=True)


def read_opened_review(event: EventData) -> Fact:
    """Return a review that was opened; fetched later, it may be closed by then."""
    found = _SUSPICION.decode(event.data).object
    return _freeze(event, found, "review", is_open=found.open is not False)


def read_closed_review(event: EventData) -> Fact:
    """Return a review that was closed, for whatever reason."""
    return _freeze(event, _SUSPICION.decode(event.data).object, "review", is_open=False)


def _freeze(
    event: EventData,
    found: objects.Suspicion,
    source: Literal["early_fraud_warning", "review"],
    *,
    is_open: bool,
) -> Fact:
    keys = payment_keys(found.payment_intent, found.charge)
    if not keys:
        return ignored("no_payment")
    return PaymentFreeze(
        payment_keys=[*keys, found.id],
        told_at=event.at,
        opened_at=moment(found.created) or event.at,
        source=source,
        source_id=found.id,
        is_open=is_open,
    )


def _lower(currency: str | None) -> str | None:
    return None if currency is None else currency.lower()
