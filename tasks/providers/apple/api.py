"""Apple's API for the App Store: how a request is sent, and what each kind of refusal says of it.

Keeps no part of an answer but its code.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import msgspec

from tasks.providers.apple.objects import PRODUCTION, SANDBOX
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.http import HttpApi

if TYPE_CHECKING:
    from tasks.providers.http import Answer

AUDIENCE = "appstoreconnect-v1"
# Apple takes a token for an hour at most.
TOKEN_S = 1_200
# So long before its end a token is made anew.
SPARE_S = 300
# Apple takes 50 per second of each app, and 5 in the sandbox.
REQUESTS_PER_S = 4.0


class Refusal(msgspec.Struct):
    """The body of an answer that is no success; that of 401 is plain text."""

    errorCode: int | None = None  # noqa: N815 - the name is Apple's


# A refusal without an error of theirs.
UNREADABLE = "unreadable"
_REFUSAL = msgspec.json.Decoder(Refusal)


class AppStoreApi:
    """Requests as the holder of one key. Belongs to one event loop."""

    def __init__(
        self, *, issuer_id: str, key_id: str, private_key: str, base: str, sandbox_base: str
    ) -> None:
        self._issuer_id = issuer_id
        self._key_id = key_id
        self._private_key = private_key
        bases = {PRODUCTION: base, SANDBOX: sandbox_base}
        self._http = {
            environment: HttpApi(each, headers={}, requests_per_s=REQUESTS_PER_S)
            for environment, each in bases.items()
        }
        # By bundle id: the token, and until when it is used.
        self._tokens: dict[str, tuple[str, float]] = {}

    async def send(
        self, method: str, path: str, *, environment: str, bundle_id: str, body: bytes = b""
    ) -> Answer:
        """Return the answer of a success.

        Raises CallRefused for a refusal that concerns this request, and CallFailed for all that may
        pass.
        """
        headers = {
            "Authorization": f"Bearer {self._token(bundle_id)}",
            "Content-Type": "application/json",
        }
        return _checked(
            await self._http[environment].send(method, path, headers=headers, body=body)
        )

    async def close(self) -> None:
        """Close the connections."""
        for http in self._http.values():
            await http.close()

    def _token(self, bundle_id: str) -> str:
        token, until = self._tokens.get(bundle_id, ("", 0.0))
        now = time.time()
        # A clock that was set back must not keep a token for ever.
        if not now < until < now + TOKEN_S:
            claims = {
                "iss": self._issuer_id,
                "iat": int(now),
                "exp": int(now) + TOKEN_S,
                "aud": AUDIENCE,
                "bid": bundle_id,
            }
            headers = {"kid": self._key_id}
            token = jwt.encode(claims, self._private_key, algorithm="ES256", headers=headers)
            self._tokens[bundle_id] = (token, now + TOKEN_S - SPARE_S)
        return token


def _checked(answer: Answer) -> Answer:
    """Return the answer if it is a success; raise what it is otherwise."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    code = _code(answer)
    reason = f"{status} {code}"
    match status:
        case 401:
            raise KeyRefused(reason)
        case 403 | 408 | 409:
            raise CallFailed(reason, retry_after_s=answer.retry_after_s)
        case 429:
            raise ProviderThrottled(reason, retry_after_s=answer.retry_after_s)
        case _ if status >= 500 or status < 400:
            raise ProviderUnreachable(reason, retry_after_s=answer.retry_after_s)
        # Something between us answered, and not Apple.
        case _ if code == UNREADABLE:
            raise CallFailed(reason, retry_after_s=answer.retry_after_s)
        case _:
            raise CallRefused(reason)


def _code(answer: Answer) -> str:
    try:
        return str(_REFUSAL.decode(answer.body).errorCode or "unknown")
    except (ValueError, RecursionError):
        return UNREADABLE
