"""Signatures of tokens, and the keys that may have made them.

Which algorithm may have signed is decided by the key and never by the token. No token and no part
of one stands in an error or in a log.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jwt

from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.sign_in.refusals import NotSignedIn

# A token whose app_metadata is large has a few kilobytes.
TOKEN_BYTES_MAX = 8_192
# Clocks of two machines with a time service differ by less.
LEEWAY_S = 10.0


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


class Signatures:
    """Verifies tokens against these keys."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._jws = jwt.PyJWS()

    async def verify(self, token: str | bytes) -> bytes:
        """Return what a token says. Raises NotSignedIn and KeysUnavailable."""
        try:
            kid = self._jws.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, *UNREADABLE_ERRORS, TypeError):
            raise NotSignedIn("unreadable") from None
        found = await self._keys.find(kid if isinstance(kid, str) else None)
        try:
            payload: bytes = self._jws.decode(token, found.key, algorithms=[found.algorithm])
        except (jwt.PyJWTError, *UNREADABLE_ERRORS, TypeError):
            raise NotSignedIn("no_match") from None
        return payload

    async def close(self) -> None:
        """Close the connection to where the keys are."""
        await self._keys.close()


def check_times(exp_s: float, nbf_s: float, *, now_s: float) -> None:
    """Raise NotSignedIn for a token that is not of now."""
    if exp_s + LEEWAY_S <= now_s or nbf_s - LEEWAY_S > now_s:
        raise NotSignedIn("expired")
