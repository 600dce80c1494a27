"""What Stripe tells of money that goes back: refunds, cumulatives and disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.facts import ChargeFailed, Dispute, DisputeTransaction, Refund, RefundTotal
from tasks.providers.reading import ignored, moment
from tasks.providers.stripe import objects
from tasks.providers.stripe.names import payment_keys

if TYPE_CHECKING:
    from db.facts import Fact
    from tasks.providers.stripe.objects import Told

_CHARGE = msgspec.json.Decoder(objects.Data[objects.Charge])
_FAILED_CHARGE = msgspec.json.Decoder(objects.Data[objects.FailedCharge])
_REFUND = msgspec.json.Decoder(objects.Data[objects.Refund])
_DISPUTE = msgspec.json.Decoder(objects.Data[objects.Dispute])


def read_refund(told: Told) -> Fact:
    """Tell one refund as it stands."""
    refund = _REFUND.decode(told.data).object
    keys = payment_keys(refund.payment_intent, refund.charge)
    if not keys:
        return ignored("no_payment")
    return Refund(
        # Its own id too: told once by its charge and once by its intent, it joins the two.
        payment_keys=[*keys, refund.id],
        told_at=told.at,
        refund_created_at=moment(refund.created) or told.at,
        refund_id=refund.id,
        amount_minor=refund.amount,
        # A status that Stripe adds some day, or none at all, is a refund on its way.
        status=refund.status if refund.status in _REFUND_STATUSES else "pending",
    )


_REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")


def read_charge_refunded(told: Told) -> Fact:
    """Tell all that was refunded of a charge so far.

    Stripe counts as refunded what a capture left over, too: money that was never taken. A charge
    of which nothing was captured bought nothing, so its reversals are not ours either.
    """
    charge = _CHARGE.decode(told.data).object
    keys = payment_keys(charge.payment_intent, charge.id)
    if charge.captured is False:
        return ignored("not_captured", keys)
    uncaptured, captured = None, charge.amount
    if charge.amount is not None and charge.amount_captured is not None:
        uncaptured = max(charge.amount - charge.amount_captured, 0)
        captured = charge.amount_captured
    return RefundTotal(
        payment_keys=keys,
        told_at=told.at,
        cumulative_minor=charge.amount_refunded,
        uncaptured_minor=uncaptured,
        amount_minor=captured,
        currency=_lower(charge.currency),
    )


def read_charge_failed(told: Told) -> Fact:
    """Tell a charge whose money came and went again; any other bought nothing."""
    charge = _FAILED_CHARGE.decode(told.data).object
    if charge.failure_balance_transaction is None:
        return ignored("charge_failed")
    return ChargeFailed(payment_keys=payment_keys(charge.payment_intent, charge.id))


def read_dispute(told: Told) -> Fact:
    """Tell how the dispute stands and the money that moved; its type says nothing more."""
    dispute = _DISPUTE.decode(told.data).object
    keys = payment_keys(dispute.payment_intent, dispute.charge)
    if not keys:
        return ignored("no_payment")
    return Dispute(
        payment_keys=[*keys, dispute.id],
        told_at=told.at,
        dispute_id=dispute.id,
        status=dispute.status if dispute.status in _DISPUTE_STATUSES else "unknown",
        amount_minor=dispute.amount,
        currency=_lower(dispute.currency),
        transactions=[
            DisputeTransaction(id=moved.id, amount=moved.amount, currency=_lower(moved.currency))
            for moved in dispute.balance_transactions or []
        ],
    )


_DISPUTE_STATUSES = (
    *("warning_needs_response", "warning_under_review", "warning_closed"),
    *("needs_response", "under_review", "won", "lost", "prevented"),
)


def _lower(currency: str | None) -> str | None:
    return None if currency is None else currency.lower()
