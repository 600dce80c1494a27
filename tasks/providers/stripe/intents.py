"""Reads a payment intent that succeeded: what was paid, and who bought what if it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from db.facts import Paid
from tasks.providers import reading
from tasks.providers.reading import ignored
from tasks.providers.stripe.names import payment_keys
from tasks.providers.stripe.objects import Data, PaymentIntent
from tasks.providers.stripe.orders import read_order
from tasks.providers.stripe.purchases import make_half, make_purchase

if TYPE_CHECKING:
    from db.facts import Fact
    from tasks.providers.stripe.objects import EventData

_PAYMENT_INTENT = msgspec.json.Decoder(Data[PaymentIntent])
# A payment has at most 8 names (`db.facts.PaymentKeys`): its intent, its latest charge and these.
_CHARGES_MAX = 6


def read_payment_intent(event: EventData) -> Fact:
    """Return the purchase of an intent that succeeded."""
    intent = _PAYMENT_INTENT.decode(event.data).object
    if intent.status != "succeeded":
        return ignored("not_succeeded")
    metadata = reading.as_object(intent.metadata)
    charges = [intent.latest_charge, *_listed_charges(intent.charges)]
    keys = payment_keys(intent.id, *charges)
    order = read_order(metadata, reference=None)
    billing = reading.as_object(reading.as_object(_first(charges)).get("billing_details"))
    if order is None:
        # A direct call may have recorded this payment, or a session that was not paid yet may have
        # named the buyer and the product.
        paid = Paid(
            amount_minor=intent.amount_received,
            currency=intent.currency.lower(),
            purchased_at=event.at,
            country_code=reading.country_code(
                reading.as_object(billing.get("address")).get("country")
            ),
        )
        return ignored("not_ours", keys, make_half(metadata, told_by="intent", paid=paid))
    return make_purchase(
        order,
        metadata,
        paid_at=event.at,
        keys=keys,
        amount_minor=intent.amount_received,
        currency=intent.currency,
        address=billing.get("address"),
        told_by="intent",
    )


def _listed_charges(charges: Any) -> list[Any]:
    """Return an intent's charges, the newest first; API versions before 2022-11-15 list them.

    A charge that failed before another one succeeded is a name of the payment, too.
    """
    data = reading.as_object(charges).get("data")
    return data[:_CHARGES_MAX] if isinstance(data, list) else []


def _first(charges: list[Any]) -> Any:
    """Return the first charge that is an object; the others are only ids."""
    return next((charge for charge in charges if isinstance(charge, dict)), None)
