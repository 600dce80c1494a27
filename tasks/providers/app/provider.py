"""The app as a provider: its settings, and which of its modules does what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tasks.providers.app.interpret import interpret
from tasks.providers.app.objects import Event
from tasks.providers.app.verify import check_signature, signing_key
from tasks.providers.provider import Provider
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import NotAuthentic, arrival, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent

_EVENT = msgspec.json.Decoder(Event)


class App(Provider):
    """The live-streaming app itself, whose viewers send gifts.

    `webhook_secrets` are `whsec_<base64>`; any of them may have signed. Raises ValueError for one
    that holds no key.
    """

    name = "app"
    body_is_fixed = True
    may_ask = True

    def __init__(self, *, webhook_secrets: Iterable[str] = ()) -> None:
        self._keys = tuple(signing_key(secret) for secret in webhook_secrets)

    def verify(self, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float) -> Arrival:
        """Return the inbox row of a body that one of the secrets has signed, by its webhook-id."""
        check_signature(body, headers, keys=self._keys, now_s=now_s)
        try:
            event = _EVENT.decode(body)
            event_id = headers.get(b"webhook-id", b"").decode()
        except UNREADABLE_ERRORS:
            return unreadable(self.name, body)
        return arrival(self.name, event_id=event_id, event_type=event.type, body=body)

    def verify_question(self, headers: Mapping[bytes, bytes], *, now_s: float) -> None:
        """Raise NotAuthentic unless one of the secrets signed an empty body under a fresh id."""
        if not headers.get(b"webhook-id"):
            raise NotAuthentic("missing")
        check_signature(b"", headers, keys=self._keys, now_s=now_s)

    def interpret(self, event: ClaimedEvent) -> Fact:
        """Return what an event means: a gift, or nothing."""
        return interpret(event)
