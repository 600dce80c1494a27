"""What Stripe tells of money that goes back: refunds, cumulatives and disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.facts import Dispute, DisputeTransaction, Refund, RefundTotal
from tasks.providers.reading import ignored
from tasks.providers.stripe import objects
from tasks.providers.stripe.names import payment_keys

if TYPE_CHECKING:
    from db.facts import Fact
    from tasks.providers.stripe.objects import Told

_CHARGE = msgspec.json.Decoder(objects.Data[objects.Charge])
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
        refund_id=refund.id,
        amount_minor=refund.amount,
        # A status that Stripe adds some day, or none at all, is a refund on its way.
        status=refund.status if refund.status in _REFUND_STATUSES else "pending",
    )


_REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")


def read_charge_refunded(told: Told) -> Fact:
    """Tell all that was refunded of a charge so far."""
    charge = _CHARGE.decode(told.data).object
    return RefundTotal(
        payment_keys=payment_keys(charge.payment_intent, charge.id),
        cumulative_minor=charge.amount_refunded,
    )


def read_dispute(told: Told) -> Fact:
    """Tell the money that moved; the type and the status of the dispute say nothing more."""
    dispute = _DISPUTE.decode(told.data).object
    keys = payment_keys(dispute.payment_intent, dispute.charge)
    if not keys:
        return ignored("no_payment")
    return Dispute(
        payment_keys=[*keys, dispute.id],
        dispute_id=dispute.id,
        amount_minor=dispute.amount,
        transactions=[
            DisputeTransaction(id=moved.id, amount=moved.amount)
            for moved in dispute.balance_transactions or []
        ],
    )
