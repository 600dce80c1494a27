"""A signed object of Apple's (JWS), taken apart. Nothing here says that it is authentic.

Never quotes a part of an object.
"""

from __future__ import annotations

import binascii
from typing import Literal, NamedTuple, TypeVar

import msgspec

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import NotAuthentic

T = TypeVar("T")

# Apple's header with its three certificates has 4,500 characters.
HEADER_CHARACTERS_MAX = 16_384
_TO_STANDARD = str.maketrans("-_", "+/")


class Header(msgspec.Struct):
    """What stands in the protected header: the signer's certificate, its issuer's and the root."""

    alg: Literal["ES256"]
    x5c: tuple[str, str, str]
    # Each of these changes what the signature covers. Apple uses neither.
    crit: msgspec.UnsetType = msgspec.UNSET
    b64: msgspec.UnsetType = msgspec.UNSET


class Claims(msgspec.Struct):
    """When an object was signed, in milliseconds, and claims of JSON Web Tokens, in seconds.

    Apple uses none of the latter, but its own library heeds them: each may be absent, and but for
    `aud` none may be null. An `aud` that names somebody is for another reader.
    """

    signedDate: int | float | None = None  # noqa: N815 - Apple's name
    receiptCreationDate: int | float | None = None  # noqa: N815
    exp: int | float | msgspec.UnsetType = msgspec.UNSET
    nbf: int | float | msgspec.UnsetType = msgspec.UNSET
    iat: int | float | msgspec.UnsetType = msgspec.UNSET
    aud: object = None
    sub: str | msgspec.UnsetType = msgspec.UNSET
    jti: str | msgspec.UnsetType = msgspec.UNSET


HEADER = msgspec.json.Decoder(Header)
CLAIMS = msgspec.json.Decoder(Claims)


class Signed(NamedTuple):
    """A signed object, taken apart; the parts are as they were sent, encoded."""

    text: str
    header: str
    payload: str
    signature: str


def take_apart(text: str) -> Signed:
    """Return the parts of a compact JWS. Raises NotAuthentic."""
    parts = text.split(".", 3)
    if len(parts) != 3 or not text.isascii() or len(parts[0]) > HEADER_CHARACTERS_MAX:
        raise NotAuthentic("unreadable")
    return Signed(text, *parts)


def read_payload(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what a JWS says, signed or not. Raises NotAuthentic for what can't be read."""
    return decode(part_bytes(take_apart(text).payload), decoder)


def part_bytes(text: str) -> bytes:
    """Return the bytes of a part, base64url without padding. Raises NotAuthentic."""
    if "+" in text or "/" in text or "=" in text:
        raise NotAuthentic("unreadable")
    padding = "=" * (-len(text) % 4)
    try:
        return binascii.a2b_base64(text.translate(_TO_STANDARD) + padding, strict_mode=True)
    except ValueError:
        raise NotAuthentic("unreadable") from None


def decode(content: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the decoded JSON. Raises NotAuthentic for what can't be read."""
    try:
        return decoder.decode(content)
    except UNREADABLE_ERRORS:
        raise NotAuthentic("unreadable") from None
