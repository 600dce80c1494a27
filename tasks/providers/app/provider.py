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
    from collections.abc import Iterable, Mapping, Sequence

    from db.facts import Fact
    from db.inbox.arrivals import Arrival
    from db.inbox.batches import ClaimedEvent
    from tasks.providers.app.deliveries import AppDeliveries
    from tasks.providers.calls import MakeCall

_EVENT = msgspec.json.Decoder(Event)


class App(Provider):
    """The live-streaming app itself, whose viewers send gifts.

    `webhook_secrets` are `whsec_<base64>`; any of them may have signed. With `events_url` the app
    is told what becomes of gifts and purchases, signed with each of `events_secrets`. Raises
    ValueError for a secret that holds no key.
    """

    name = "app"
    body_is_fixed = True
    may_ask = True

    # The app is our own, and is told of each gift.
    calls_at_once_here = 16
    calls_at_once = 64
    # A message waits for as long as its answer asked. The others find out, one a minute, so that a
    # single answer never silences the fleet, nor an operator who has them sent again.
    rests_at_most_s = 60.0

    def __init__(
        self,
        *,
        webhook_secrets: Iterable[str] = (),
        events_url: str | None = None,
        events_secrets: Sequence[str] = (),
    ) -> None:
        self._keys = tuple(signing_key(secret) for secret in webhook_secrets)
        self._deliveries = (
            _make_deliveries(events_url, events_secrets) if events_url and events_secrets else None
        )

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

    def calls(self) -> Mapping[str, MakeCall]:
        """Return how the app is told."""
        return self._deliveries.by_kind if self._deliveries else {}

    async def close(self) -> None:
        """Close the connections to the app."""
        if self._deliveries:
            await self._deliveries.close()


def _make_deliveries(url: str, secrets: Sequence[str]) -> AppDeliveries:
    # Here, because the HTTP client takes long to import and `web` and the commands never call.
    from tasks.providers.app.deliveries import AppDeliveries  # noqa: PLC0415

    return AppDeliveries(url=url, secrets=secrets)
