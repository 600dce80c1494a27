"""Tokens that an identity-aware proxy puts into a header, once it has signed somebody in.

Which algorithm may have signed is decided by the key, which the proxy's key set has, and never by
the token. No token and no part of one stands in an error or in a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import msgspec

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.sign_in.refusals import NotSignedIn
from tasks.sign_in.tokens import LEEWAY_S, TOKEN_BYTES_MAX

if TYPE_CHECKING:
    from tasks.sign_in.tokens import Keys

SUBJECT_MAX = 200


class _Claims(msgspec.Struct):
    """What counts of a token. Times are in seconds since 1970."""

    sub: str
    exp: float
    iat: float
    aud: str | list[str]
    iss: str = ""
    email: str = ""
    nbf: float = 0.0
    aal: str = "aal1"
    app_metadata: dict[str, Any] = msgspec.field(default_factory=dict)


_CLAIMS = msgspec.json.Decoder(_Claims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """Somebody whom the proxy has signed in. `role` is what the token says, not checked yet."""

    subject: str
    email: str
    role: str
    reads_payloads: bool
    aal: str
    issued_s: float


class ForwardedTokens:
    """Reads such tokens. `audience` is whom they must be for."""

    def __init__(self, keys: Keys, *, audience: str) -> None:
        self._keys = keys
        self._audience = audience
        self._signatures = jwt.PyJWS()

    async def read(self, token: str, *, now_s: float) -> Forwarded:
        """Return who this is. Raises NotSignedIn and KeysUnavailable."""
        if len(token) > TOKEN_BYTES_MAX:
            raise NotSignedIn("unreadable")
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

    def _judge(self, payload: bytes, now_s: float) -> Forwarded:
        try:
            claims = _CLAIMS.decode(payload)
        except UNREADABLE_ERRORS:
            raise NotSignedIn("not_a_user") from None
        if claims.exp + LEEWAY_S <= now_s or claims.nbf - LEEWAY_S > now_s:
            raise NotSignedIn("expired")
        # One of the future would outlive a sign-out: see fleet.open_console_session.
        if not 0 <= claims.iat <= now_s + LEEWAY_S:
            raise NotSignedIn("not_a_user")
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        role = claims.app_metadata.get("coinfleet_role")
        is_named = claims.sub.isprintable() and 0 < len(claims.sub.strip()) <= SUBJECT_MAX
        if self._audience not in audiences or not is_named or not isinstance(role, str):
            raise NotSignedIn("not_a_user")
        return Forwarded(
            subject=claims.sub,
            email=claims.email,
            role=role,
            reads_payloads=claims.app_metadata.get("coinfleet_payloads") is True,
            aal="aal2" if claims.aal == "aal2" else "aal1",
            issued_s=claims.iat,
        )
