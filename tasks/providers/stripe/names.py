"""The names of a payment: its intent, its charges and its session, each of which finds it.

Events of a payment do not all have the same names, so a fact carries every name of its event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from db.facts import Names
from tasks.providers import reading
from tasks.providers.reading import ignored
from tasks.providers.stripe.objects import Data, NamedCharge

if TYPE_CHECKING:
    from db.facts import Fact
    from tasks.providers.stripe.objects import EventData

_CHARGE = msgspec.json.Decoder(Data[NamedCharge])


def read_charge(event: EventData) -> Fact:
    """Return the names of the charge's payment, so that a refund finds it by any of them."""
    charge = _CHARGE.decode(event.data).object
    names = payment_keys(charge.payment_intent, charge.id)
    return Names(payment_keys=names) if len(names) > 1 else ignored("unknown_type")


def payment_keys(*references: Any) -> list[str]:
    """Return the names among `references`, each once and in order.

    The first one identifies the purchase: there is one purchase per first name.
    """
    names = (reading.identifier(reference) for reference in references)
    return list(dict.fromkeys(name for name in names if name is not None))
