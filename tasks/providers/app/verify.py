"""Whether a webhook is the app's: its signature by Standard Webhooks, made and checked.

As with Stripe, the signature is checked on bytes; the tests compare it with the reference library.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from tasks.providers.signed import (
    SIGNATURE_HEADER_BYTES_MAX,
    NotAuthentic,
    check_any_match,
    check_fresh,
    hmac_sha256,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - what each secret begins with, not one


def check_signature(
    body: bytes, headers: Mapping[bytes, bytes], *, keys: Sequence[bytes], now_s: float
) -> None:
    """Raise NotAuthentic unless one of the keys signed the body within five minutes of `now_s`."""
    signature = headers.get(b"webhook-signature", b"")
    if not signature:
        raise NotAuthentic("missing")
    if len(signature) > SIGNATURE_HEADER_BYTES_MAX:
        raise NotAuthentic("unreadable")
    event_id = headers.get(b"webhook-id", b"")
    timestamp = headers.get(b"webhook-timestamp", b"")
    expected = (_signature(key, event_id, timestamp, body) for key in keys)
    check_any_match(expected, signature.split(b" "))
    check_fresh(timestamp, now_s=now_s)


def signing_key(secret: str) -> bytes:
    """Return the key inside `whsec_<base64>`, padded or not. Raises ValueError."""
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:
        raise ValueError("a Standard Webhooks secret is whsec_ and base64") from error
    if not key:
        raise ValueError("a Standard Webhooks secret is empty")
    return key


def sign(event_id: str, body: bytes, *, secret: str, timestamp_s: int) -> dict[str, str]:
    """Return the headers of a Standard Webhook that carries `body`. Raises ValueError."""
    signature = _signature(signing_key(secret), event_id.encode(), b"%d" % timestamp_s, body)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature.decode(),
    }


def _signature(key: bytes, event_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    return b"v1," + b64encode(hmac_sha256(key, event_id, timestamp, body))
