"""All names of a payment: whatever names it in an event is a key of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from db.facts import Names
from tasks.providers import reading
from tasks.providers.reading import ignored
from tasks.providers.stripe.objects import Data, NamedCharge

if TYPE_CHECKING:
    from db.facts import Fact
    from tasks.providers.stripe.objects import Told

_CHARGE = msgspec.json.Decoder(Data[NamedCharge])


def read_charge(told: Told) -> Fact:
    """Return the names of a charge's payment, so that its refund is found by any of them."""
    charge = _CHARGE.decode(told.data).object
    names = payment_keys(charge.payment_intent, charge.id)
    return Names(payment_keys=names) if len(names) > 1 else ignored("unknown_type")


def payment_keys(*references: Any) -> list[str]:
    """Give the names of a payment, the one that purchases are unique by first."""
    names = (reading.identifier(reference) for reference in references)
    return list(dict.fromkeys(name for name in names if name is not None))
