"""One simulated Stripe payment: what all of its events and objects have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class StripePayment:
    """One payment. Its ids are made from `key`: pi_key, ch_key, cs_test_key."""

    key: str
    amount_minor: int
    created_s: int
    currency: str = "usd"
    metadata: Mapping[str, str] = field(default_factory=dict)
    livemode: bool = False

    @property
    def intent_id(self) -> str:
        """The payment intent."""
        return f"pi_{self.key}"

    @property
    def charge_id(self) -> str:
        """The charge that took the money."""
        return f"ch_{self.key}"

    @property
    def session_id(self) -> str:
        """The checkout session that led to it."""
        return f"cs_{'live' if self.livemode else 'test'}_{self.key}"
