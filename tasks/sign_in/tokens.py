"""Access tokens: signed by the app's Supabase project, for a signed-in user, and not expired.

Which algorithm may have signed is decided by the key, which settings name, and never by the token.
No token and no part of one stands in an error or in a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

import jwt
import msgspec

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.sign_in.refusals import NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Mapping

# A token whose app_metadata is large has a few kilobytes.
TOKEN_BYTES_MAX = 8_192
# Clocks of two machines with a time service differ by less.
LEEWAY_S = 10.0
SIGNED_IN = "authenticated"


class Key(NamedTuple):
    """A key, and the one algorithm that it is for."""

    algorithm: str
    key: Any


class Keys(Protocol):
    """Where keys are found."""

    async def find(self, kid: str | None) -> Key:
        """Return the key of this id. Raises NotSignedIn and KeysUnavailable."""
        ...

    async def close(self) -> None:
        """Close what is open."""


class SharedSecret:
    """The one key of a project that still signs with its legacy secret."""

    def __init__(self, secret: str) -> None:
        self._key = Key("HS256", secret.encode())

    async def find(self, kid: str | None) -> Key:  # noqa: ARG002 - there is one key
        """Return the key, whatever id the token names."""
        return self._key

    async def close(self) -> None:
        """Nothing is open."""


class _Claims(msgspec.Struct):
    """What counts of a token. Times are in seconds since 1970."""

    sub: UUID
    exp: float
    aud: str | list[str]
    role: str
    nbf: float = 0.0


_CLAIMS = msgspec.json.Decoder(_Claims)


class AccessTokens:
    """Reads `Authorization: Bearer <access token>`. `audience` is whom the token must be for."""

    def __init__(self, keys: Keys, *, audience: str) -> None:
        self._keys = keys
        self._audience = audience
        self._signatures = jwt.PyJWS()

    async def read_subject(self, headers: Mapping[bytes, bytes], *, now_s: float) -> UUID:
        """Return the id of the user who sends this. Raises NotSignedIn and KeysUnavailable."""
        token = _read_token(headers.get(b"authorization", b""))
        try:
            kid = self._signatures.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, *UNREADABLE_ERRORS, TypeError):
            raise NotSignedIn("unreadable") from None
        found = await self._keys.find(kid if isinstance(kid, str) else None)
        try:
            payload = self._signatures.decode(token, found.key, algorithms=[found.algorithm])
        except (jwt.PyJWTError, *UNREADABLE_ERRORS, TypeError):
            raise NotSignedIn("no_match") from None
        return self._judge(payload, now_s)

    async def close(self) -> None:
        """Close the connection to where the keys are."""
        await self._keys.close()

    def _judge(self, payload: bytes, now_s: float) -> UUID:
        try:
            claims = _CLAIMS.decode(payload)
        except UNREADABLE_ERRORS:
            raise NotSignedIn("not_a_user") from None
        if claims.exp + LEEWAY_S <= now_s or claims.nbf - LEEWAY_S > now_s:
            raise NotSignedIn("expired")
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self._audience not in audiences or claims.role != SIGNED_IN:
            raise NotSignedIn("not_a_user")
        return claims.sub


def _read_token(header: bytes) -> bytes:
    if not header:
        raise NotSignedIn("missing")
    scheme, _, token = header.partition(b" ")
    token = token.strip(b" ")
    if scheme.lower() != b"bearer" or not token or len(token) > TOKEN_BYTES_MAX:
        raise NotSignedIn("unreadable")
    return token
