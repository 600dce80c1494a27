"""Whether a webhook is Stripe's: its signature, made and checked.

The signature is checked here on bytes, as Stripe documents it: its own library accepts timestamps
from the future, raises UnicodeDecodeError and TypeError on hostile input, puts the body into its
exceptions, and takes twice as long. The tests compare the two.
"""

from __future__ import annotations

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

# What a proxy may put between the parts of a header.
_BLANKS = b" \t"


def check_signature(
    body: bytes, headers: Mapping[bytes, bytes], *, keys: Sequence[bytes], now_s: float
) -> None:
    """Raise NotAuthentic unless one of the keys signed the body within five minutes of `now_s`."""
    header = headers.get(b"stripe-signature", b"")
    if not header:
        raise NotAuthentic("missing")
    timestamp, signatures = _read_signature(header)
    expected = (_signature(key, timestamp, body) for key in keys)
    check_any_match(expected, signatures)
    check_fresh(timestamp, now_s=now_s)


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
    """Return the headers with which Stripe would send `body`; for simulated events."""
    signature = _signature(secret.encode(), b"%d" % timestamp_s, body).decode()
    return {"stripe-signature": f"t={timestamp_s},v1={signature}"}


def _signature(key: bytes, timestamp: bytes, body: bytes) -> bytes:
    return hmac_sha256(key, timestamp, body).hex().encode()
