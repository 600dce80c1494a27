"""Tokens that an identity-aware proxy puts into a header, once it has signed somebody in.

The keys are those of the proxy's key set. No token and no part of one stands in an error or in a
log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.sign_in.refusals import NotSignedIn
from tasks.sign_in.signatures import LEEWAY_S, TOKEN_BYTES_MAX, Signatures, check_times

if TYPE_CHECKING:
    from tasks.sign_in.signatures import Keys

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
        self._signatures = Signatures(keys)
        self._audience = audience

    async def read(self, token: str, *, now_s: float) -> Forwarded:
        """Return who this is. Raises NotSignedIn and KeysUnavailable."""
        if len(token) > TOKEN_BYTES_MAX:
            raise NotSignedIn("unreadable")
        return self._judge(await self._signatures.verify(token), now_s)

    async def close(self) -> None:
        """Close the connection to where the keys are."""
        await self._signatures.close()

    def _judge(self, payload: bytes, now_s: float) -> Forwarded:
        try:
            claims = _CLAIMS.decode(payload)
        except UNREADABLE_ERRORS:
            raise NotSignedIn("not_a_user") from None
        check_times(claims.exp, claims.nbf, now_s=now_s)
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
