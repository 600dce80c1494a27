"""Access tokens: signed by the app's Supabase project, for a signed-in user, and not expired.

No token and no part of one stands in an error or in a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.sign_in.refusals import NotSignedIn
from tasks.sign_in.signatures import TOKEN_BYTES_MAX, Signatures, check_times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.sign_in.signatures import Keys

SIGNED_IN = "authenticated"


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
        self._signatures = Signatures(keys)
        self._audience = audience

    async def read_subject(self, headers: Mapping[bytes, bytes], *, now_s: float) -> UUID:
        """Return the id of the user who sends this. Raises NotSignedIn and KeysUnavailable."""
        token = _read_token(headers.get(b"authorization", b""))
        return self._judge(await self._signatures.verify(token), now_s)

    async def close(self) -> None:
        """Close the connection to where the keys are."""
        await self._signatures.close()

    def _judge(self, payload: bytes, now_s: float) -> UUID:
        try:
            claims = _CLAIMS.decode(payload)
        except UNREADABLE_ERRORS:
            raise NotSignedIn("not_a_user") from None
        check_times(claims.exp, claims.nbf, now_s=now_s)
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
