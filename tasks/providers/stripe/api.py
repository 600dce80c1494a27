"""Stripe's API: how a request is sent, and what each kind of refusal says of the call.

Keeps no part of an answer but codes and ids: an error's message may name the buyer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from db.errors import CoinfleetError
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.http import ANSWER_BYTES_MAX, HttpApi
from tasks.providers.reading import UNREADABLE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.providers.http import Answer

# The version whose objects we read; without it an account's own, perhaps old, version counts.
API_VERSION = "2026-10-28.endive"
# Stripe takes 25 per second in a sandbox and 100 in live mode, of everybody who has the account.
REQUESTS_PER_S = 10.0
_CODE = re.compile(r"[a-z0-9_]{1,64}")
# A refusal without Stripe's error: something between us answered, and not Stripe.
UNREADABLE = "unreadable"


class Code(msgspec.Struct):
    """The fields of an error that we read."""

    type: str | None = None
    code: str | None = None


class Refusal(msgspec.Struct):
    """The body of an answer that is no success."""

    error: Code


_REFUSAL = msgspec.json.Decoder(Refusal)


class StripeRefused(CoinfleetError):
    """Stripe refused a request for a reason of its own; `code` names it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.code = code


class KeyLacksRight(CallFailed):
    """Our key is good, and lacks the right for this request; others may need another one."""


class StripeApi:
    """Requests to one account, with one key."""

    def __init__(
        self,
        *,
        key: str,
        base: str,
        requests_per_s: float = REQUESTS_PER_S,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self._http = HttpApi(
            base,
            headers={"Authorization": f"Bearer {key}", "Stripe-Version": API_VERSION},
            requests_per_s=requests_per_s,
            answer_bytes_max=answer_bytes_max,
        )

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer of a success. Raises as `post` does."""
        return _checked(await self._http.send("GET", path, headers=headers))

    async def post(self, path: str, form: bytes, *, idempotency_key: str) -> Answer:
        """Return the answer of a success.

        Raises StripeRefused with the code of a refusal that concerns this request, and CallFailed
        for all that may pass.
        """
        headers = {
            "Idempotency-Key": idempotency_key,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return _checked(await self._http.send("POST", path, headers=headers, body=form))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def _checked(answer: Answer) -> Answer:
    """Return the answer if it is a success; raise what it is otherwise."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    code = _code(answer)
    reason = f"{status} {code}"
    # Stripe keeps the first answer of a key for a day, an internal error too.
    if answer.headers.get("idempotent-replayed") == "true" and status >= 500:
        raise CallFailed(f"{reason}, replayed", retry_after_s=answer.retry_after_s)
    match status:
        case 401:
            raise KeyRefused(reason)
        case 403:
            raise KeyLacksRight(reason, retry_after_s=answer.retry_after_s)
        case 408 | 409 | 425:
            raise CallFailed(reason, retry_after_s=answer.retry_after_s)
        case 429:
            raise ProviderThrottled(reason, retry_after_s=answer.retry_after_s)
        case _ if status >= 500 or status < 400:
            raise ProviderUnreachable(reason, retry_after_s=answer.retry_after_s)
        # Not Stripe's own word, or Stripe says that it may pass.
        case _ if code == UNREADABLE or answer.headers.get("stripe-should-retry") == "true":
            raise CallFailed(reason, retry_after_s=answer.retry_after_s)
        case _:
            raise StripeRefused(status, code)


def _code(answer: Answer) -> str:
    """Return an error's code, or else its type; nothing else of it is safe to show."""
    try:
        error = _REFUSAL.decode(answer.body).error
    except UNREADABLE_ERRORS:
        return UNREADABLE
    found = error.code or error.type or ""
    return found if _CODE.fullmatch(found) else "unknown"


def refused(error: StripeRefused) -> CallRefused:
    """Return the refusal as one that ends the call."""
    return CallRefused(str(error))
