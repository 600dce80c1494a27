"""Who sent a webhook: Stripe's signature, and the inbox row of what it signed.

The signature is checked here on bytes, as Stripe documents it: its own library accepts timestamps
from the future, raises UnicodeDecodeError and TypeError on hostile input, puts the body into its
exceptions, and takes twice as long. The tests hold the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import (
    SIGNATURE_HEADER_BYTES_MAX,
    NotAuthentic,
    arrival,
    check_any_match,
    check_fresh,
    hmac_sha256,
    unreadable,
)
from tasks.providers.stripe.objects import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from db.inbox import Arrival

PROVIDER = "stripe"

# What a proxy may put between the parts of a header.
_BLANKS = b" \t"
_ENVELOPE = msgspec.json.Decoder(Envelope)


def verify(
    headers: Mapping[bytes, bytes], body: bytes, *, secrets: Sequence[str], now_s: float
) -> Arrival:
    """Give the inbox row of an authentic body. Raises NotAuthentic.

    `headers` have lower-case names; `secrets` are as Stripe shows them, any one may have signed.
    """
    header = headers.get(b"stripe-signature", b"")
    if not header:
        raise NotAuthentic("missing")
    timestamp, signatures = _read_signature(header)
    expected = (_signature(secret, timestamp, body) for secret in secrets)
    check_any_match(expected, signatures)
    check_fresh(timestamp, now_s=now_s)
    try:
        envelope = _ENVELOPE.decode(body)
    except UNREADABLE_ERRORS:
        return unreadable(PROVIDER, body)
    return arrival(PROVIDER, event_id=envelope.id, event_type=envelope.type, body=body)


def _read_signature(header: bytes) -> tuple[bytes, list[bytes]]:
    """Read `t=1700000000,v1=<hex>,v1=<hex>`, with or without blanks between the parts.

    Other schemes are passed over, as Stripe asks.
    """
    if len(header) > SIGNATURE_HEADER_BYTES_MAX:
        raise NotAuthentic("unreadable")
    timestamp, signatures = b"", []
    for item in header.split(b","):
        scheme, _, value = item.partition(b"=")
        match scheme.strip(_BLANKS):
            case b"v1":
                signatures.append(value.strip(_BLANKS))
            case b"t" if not timestamp:
                timestamp = value.strip(_BLANKS)
    return timestamp, signatures


def sign(body: bytes, *, secret: str, timestamp_s: int) -> dict[str, str]:
    """Give the headers with which Stripe would send `body`; for simulated events."""
    signature = _signature(secret, b"%d" % timestamp_s, body).decode()
    return {"stripe-signature": f"t={timestamp_s},v1={signature}"}


def _signature(secret: str, timestamp: bytes, body: bytes) -> bytes:
    return hmac_sha256(secret.encode(), timestamp, body).hex().encode()
