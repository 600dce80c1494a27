"""Signed webhooks: checks of a timestamp and of an HMAC, and the inbox row of an authentic body.

Works on bytes, so that nothing can fail to decode before it is known to be authentic. Never logs
or quotes a header or a body.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, TypeAlias

from db.errors import CoinfleetError
from db.inbox.arrivals import Arrival

if TYPE_CHECKING:
    from collections.abc import Iterable

# The libraries of both providers accept a signature for five minutes. We refuse one from the future
# by the same limit.
TOLERANCE_S = 300
# Ten digits are enough until the year 2286; `int` of a very long header would be slow.
TIMESTAMP_DIGITS_MAX = 12
# Two signatures for each of a few secrets take 300 bytes.
SIGNATURE_HEADER_BYTES_MAX = 4096
EVENT_ID_CHARACTERS_MAX = 255
EVENT_TYPE_CHARACTERS_MAX = 255

# The event type of a body in which none can be read.
UNREADABLE = "unreadable"

# Why a request isn't authentic: it has no signature; one that can't be read; one that none of our
# secrets made; or a good one that is more than five minutes old or ahead.
Cause: TypeAlias = Literal["missing", "unreadable", "no_match", "stale"]


class NotAuthentic(CoinfleetError):
    """The request was not signed with one of our secrets within the last five minutes.

    `late_s` is set for a good signature that is stale: how many seconds ago it was made, by this
    machine's clock; negative if it was made in the future.
    """

    def __init__(self, cause: Cause = "no_match", *, late_s: float | None = None) -> None:
        super().__init__()
        self.cause = cause
        self.late_s = late_s


class NotVerified(CoinfleetError):
    """Whether the request is authentic can't be known now; its sender must send it again."""


def check_fresh(timestamp: bytes, *, now_s: float) -> None:
    """Raise NotAuthentic unless `timestamp`, in seconds since 1970, is within the tolerance.

    Call it after the signature was found good: only then an old time says something about a clock.
    """
    if not timestamp.isdigit() or len(timestamp) > TIMESTAMP_DIGITS_MAX:
        raise NotAuthentic("unreadable")
    late_s = now_s - int(timestamp)
    if abs(late_s) > TOLERANCE_S:
        raise NotAuthentic("stale", late_s=late_s)


def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
    """Return the HMAC of `parts`, joined by dots: one call of OpenSSL, 4 µs for 2.5 KB."""
    return hmac.digest(key, b".".join(parts), "sha256")


def check_any_match(expected: Iterable[bytes], given: list[bytes]) -> None:
    """Raise NotAuthentic unless one of `given` is one of `expected`."""
    if not any(given):
        raise NotAuthentic("unreadable")
    for ours in expected:
        for theirs in given:
            if hmac.compare_digest(ours, theirs):
                return
    raise NotAuthentic("no_match")


def arrival(provider: str, *, event_id: str, event_type: str, body: bytes) -> Arrival:
    """Return the inbox row of an authentic body; one without a usable id or type is unreadable."""
    if not (
        _is_printable(event_id, EVENT_ID_CHARACTERS_MAX)
        and _is_printable(event_type, EVENT_TYPE_CHARACTERS_MAX)
    ):
        return unreadable(provider, body)
    return Arrival(
        provider=provider,
        provider_event_id=event_id,
        event_type=event_type,
        payload=body,
        payload_sha256=sha256(body).digest(),
        state="pending",
        reason=None,
    )


def unreadable(provider: str, body: bytes) -> Arrival:
    """Return the inbox row of an authentic body that can't be read.

    Its id is its SHA-256, so that the same body is stored once.
    """
    digest = sha256(body)
    return Arrival(
        provider=provider,
        provider_event_id=digest.hexdigest(),
        event_type=UNREADABLE,
        payload=body,
        payload_sha256=digest.digest(),
        state="rejected",
        reason="malformed",
    )


def _is_printable(text: str, characters_max: int) -> bool:
    return 0 < len(text) <= characters_max and text.isprintable()
