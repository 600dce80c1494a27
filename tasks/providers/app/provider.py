"""The app's own door: Standard Webhooks (standardwebhooks.com), and what its events mean.

Refuses to look anything up. As with Stripe, the signature is checked on bytes; the tests hold it
against the reference library.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec

from db.facts import BigInt, Gift, Quantity, Text
from tasks.providers.reading import UNREADABLE_ERRORS, ignored, malformed
from tasks.providers.signed import (
    SIGNATURE_HEADER_BYTES_MAX,
    NotAuthentic,
    arrival,
    check_any_match,
    check_fresh,
    hmac_sha256,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from db.facts import Fact
    from db.inbox import Arrival, ClaimedEvent

PROVIDER = "app"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what each secret begins with, not one


class _Event(msgspec.Struct):
    type: str
    data: msgspec.Raw = msgspec.Raw()


class _GiftSent(msgspec.Struct):
    """The fact's fields in the fact's types; what else the app tells is passed over."""

    sender_id: UUID
    recipient_id: UUID
    gift_type: Text
    quantity: Quantity = 1
    stream_id: BigInt | None = None
    slot_index: Annotated[int, msgspec.Meta(ge=1, le=12)] | None = None


_EVENT = msgspec.json.Decoder(_Event)
_GIFT_SENT = msgspec.json.Decoder(_GiftSent)


def verify(
    headers: Mapping[bytes, bytes], body: bytes, *, secrets: Sequence[str], now_s: float
) -> Arrival:
    """Give the inbox row of an authentic body. Raises NotAuthentic.

    `headers` have lower-case names; `secrets` are `whsec_<base64>`, any one may have signed.
    """
    event_id = headers.get(b"webhook-id", b"")
    timestamp = headers.get(b"webhook-timestamp", b"")
    signature = headers.get(b"webhook-signature", b"")
    if not signature:
        raise NotAuthentic("missing")
    if len(signature) > SIGNATURE_HEADER_BYTES_MAX:
        raise NotAuthentic("unreadable")
    expected = (_signature(signing_key(secret), event_id, timestamp, body) for secret in secrets)
    check_any_match(expected, signature.split(b" "))
    check_fresh(timestamp, now_s=now_s)
    try:
        event = _EVENT.decode(body)
        name = event_id.decode()
    except UNREADABLE_ERRORS:
        return unreadable(PROVIDER, body)
    return arrival(PROVIDER, event_id=name, event_type=event.type, body=body)


@lru_cache(maxsize=64)  # a handful of secrets, asked for at every request
def signing_key(secret: str) -> bytes:
    """Give the key inside `whsec_<base64>`, padded or not. Raises ValueError."""
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:
        raise ValueError("a Standard Webhooks secret is whsec_ and base64") from error
    if not key:
        raise ValueError("a Standard Webhooks secret is empty")
    return key


def sign(event_id: str, body: bytes, *, secret: str, timestamp_s: int) -> dict[str, str]:
    """Give the headers of a Standard Webhook that carries `body`. Raises ValueError."""
    signature = _signature(signing_key(secret), event_id.encode(), b"%d" % timestamp_s, body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature.decode(),
    }


def _signature(key: bytes, event_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    return b"v1," + b64encode(hmac_sha256(key, event_id, timestamp, body))


def interpret(
    event: ClaimedEvent,
    *,
    livemode: bool,  # noqa: ARG001 - the app has one mode
    accounts: Collection[str] = (),  # noqa: ARG001 - and no accounts
) -> Fact:
    """Say what an event means for coins: pure and total, any bytes give a fact."""
    try:
        told = _EVENT.decode(event.payload)
        if told.type != "gift.sent":
            return ignored("unknown_type")
        gift = _GIFT_SENT.decode(told.data)
    except UNREADABLE_ERRORS:
        return malformed()
    return Gift(**msgspec.structs.asdict(gift))
