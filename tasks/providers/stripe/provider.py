"""Stripe as a provider: its settings, and which of its modules does what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tasks.providers.provider import Provider
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import arrival, unreadable
from tasks.providers.stripe.interpret import interpret
from tasks.providers.stripe.objects import Envelope
from tasks.providers.stripe.verify import check_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from db.arrivals import Arrival
    from db.batches import ClaimedEvent
    from db.facts import Fact

_ENVELOPE = msgspec.json.Decoder(Envelope)


class Stripe(Provider):
    """Payments by card.

    `webhook_secrets` are as Stripe shows them; any of them may have signed. `livemode` is the mode
    whose events count. `accounts` are ids of Stripe accounts whose events count although they name
    an account.
    """

    name = "stripe"
    # Each delivery of an event tells anew how many webhooks are pending.
    body_is_fixed = False

    def __init__(
        self,
        *,
        webhook_secrets: Iterable[str] = (),
        livemode: bool = False,
        accounts: Iterable[str] = (),
    ) -> None:
        self._keys = tuple(secret.encode() for secret in webhook_secrets)
        self._livemode = livemode
        self._accounts = frozenset(accounts)

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of a body that one of the secrets has signed."""
        check_signature(body, headers, keys=self._keys, now_s=now_s)
        try:
            envelope = _ENVELOPE.decode(body)
        except UNREADABLE_ERRORS:
            return unreadable(self.name, body)
        return arrival(self.name, event_id=envelope.id, event_type=envelope.type, body=body)

    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what an event means in this mode and for these accounts."""
        return interpret(event, livemode=self._livemode, accounts=self._accounts)
