"""Signed webhooks as providers send them, for the simulator, the bench and the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers import app, stripe
from tasks.providers.app import App
from tasks.providers.stripe import Stripe

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Webhook:
    """One delivery: where it goes, its headers and its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def request(self) -> bytes:
        """The delivery as HTTP/1.1 over a connection that stays open."""
        lines = (
            f"POST {self.path} HTTP/1.1",
            "host: localhost",
            "content-type: application/json",
            f"content-length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def stripe_webhook(event: Mapping[str, Any], *, secret: str, at_s: float) -> Webhook:
    """Return an event as Stripe sends it: indented and signed."""
    body = msgspec.json.format(msgspec.json.encode(event), indent=2)
    headers = stripe.sign(body, secret=secret, timestamp_s=int(at_s))
    return Webhook(f"/webhooks/{Stripe.name}", headers, body)


def app_webhook(event_id: str, event: Mapping[str, Any], *, secret: str, at_s: float) -> Webhook:
    """Return an event of the app, signed as a Standard Webhook."""
    body = msgspec.json.encode(event)
    headers = app.sign(event_id, body, secret=secret, timestamp_s=int(at_s))
    return Webhook(f"/webhooks/{App.name}", headers, body)


def gift_sent(
    *,
    sender_id: object,
    recipient_id: object,
    gift_type: str,
    timestamp: str = "2026-11-22T05:28:00Z",
    **data: Any,
) -> dict[str, Any]:
    """Return the app's event of a gift; `data` may hold quantity, stream_id and slot_index."""
    return {
        "type": "gift.sent",
        "timestamp": timestamp,
        "data": {
            "sender_id": str(sender_id),
            "recipient_id": str(recipient_id),
            "gift_type": gift_type,
            **data,
        },
    }
