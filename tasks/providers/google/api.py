"""Google's API for apps: how a request is sent, and what each kind of refusal says of the call.

Keeps no part of an error but codes: its message may quote a token.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from db.errors import CoinfleetError
from tasks.providers.calls import (
    CallFailed,
    CallRefused,
    KeyRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from tasks.providers.google.access import AccessTokens
from tasks.providers.google.objects import Order, ProductPurchase
from tasks.providers.http import HttpApi

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.providers.http import Answer

T = TypeVar("T")

# Google takes 3,000 a minute of one-time products, and as many of orders.
REQUESTS_PER_S = 20.0
APPLICATIONS = "/androidpublisher/v3/applications"
# Google does not know the token, or does not know it any more.
GONE = (404, 410)
_REASON = re.compile(r"[A-Za-z0-9_]{1,64}")
_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})


class Detail(msgspec.Struct):
    """One cause of a refusal."""

    reason: str = ""


class ErrorBody(msgspec.Struct):
    """The fields of an error that we read."""

    errors: list[Detail] = msgspec.field(default_factory=list)
    status: str = ""


class Refusal(msgspec.Struct):
    """The body of an answer that is no success."""

    error: ErrorBody


# A refusal without an error of theirs.
UNREADABLE = "unreadable"
_REFUSAL = msgspec.json.Decoder(Refusal)


class RightMissing(CallFailed):
    """The account may not do this for this app; it may do it for others."""


class GoogleRefused(CoinfleetError):
    """Google refused a request for a reason of its own."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


class GoogleApi:
    """Requests to one developer account, as one service account. Belongs to one event loop."""

    def __init__(self, *, account: Path, base: str, requests_per_s: float = REQUESTS_PER_S) -> None:
        self._access = AccessTokens(account)
        self._http = HttpApi(base, headers={}, requests_per_s=requests_per_s)

    async def send(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Return the answer of a success; `path` begins with the name of an app.

        Raises GoogleRefused for a refusal that concerns this request, and CallFailed for all that
        may pass.
        """
        token = await self._access.get()
        headers = {"Authorization": f"Bearer {token}"}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        answer = await self._http.send(method, f"{APPLICATIONS}/{path}", headers=headers, body=body)
        if answer.status == 401:
            self._access.forget(token)
        return checked(answer)

    async def read_purchase(self, package: str, token: str) -> ProductPurchase:
        """Return the purchase with this token, as it is now. Raises as `send` does."""
        path = f"{quoted(package)}/purchases/productsv2/tokens/{quoted(token)}"
        return decoded(await self.send("GET", path), ProductPurchase)

    async def read_order(self, package: str, order_id: str) -> Order:
        """Return the order with this id, as it is now. Raises as `send` does."""
        path = f"{quoted(package)}/orders/{quoted(order_id)}"
        return decoded(await self.send("GET", path), Order)

    async def close(self) -> None:
        """Close the connections."""
        await self._access.close()
        await self._http.close()


def quoted(text: str) -> str:
    """Return a text as one part of a path."""
    return quote(text, safe="")


def decoded(answer: Answer, kind: type[T]) -> T:
    """Return what a success holds.

    One that is empty or no JSON is that of a broken server. JSON of another shape may be of this
    request alone, and must not stop the others.
    """
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.ValidationError:
        raise CallFailed(f"{answer.status} and an answer of another shape") from None
    except (ValueError, RecursionError):
        raise ProviderUnreachable(f"{answer.status} and an unreadable body") from None


def refused(error: GoogleRefused) -> CallRefused:
    """Return the refusal as one that ends the call."""
    return CallRefused(str(error))


def checked(answer: Answer) -> Answer:
    """Return the answer if it is a success; raise what it is otherwise."""
    status = answer.status
    if 200 <= status < 300:
        return answer
    code = _reason(answer)
    reason, wait_s = f"{status} {code}", answer.retry_after_s
    if status == 429 or (status == 403 and code in _LIMITS):
        raise ProviderThrottled(reason, retry_after_s=wait_s)
    match status:
        case 401:
            raise KeyRefused(reason, retry_after_s=wait_s)
        case 403:
            raise RightMissing(reason, retry_after_s=wait_s)
        # Another request at the same time.
        case 408 | 409:
            raise CallFailed(reason, retry_after_s=wait_s)
        case _ if status >= 500 or status < 400:
            raise ProviderUnreachable(reason, retry_after_s=wait_s)
        # Something between us answered, and not Google.
        case _ if code == UNREADABLE:
            raise CallFailed(reason, retry_after_s=wait_s)
        case _:
            raise GoogleRefused(status, code)


def _reason(answer: Answer) -> str:
    """Return an error's reason, or else its status; nothing else of it is safe to show."""
    try:
        error = _REFUSAL.decode(answer.body).error
    except (ValueError, RecursionError):
        return UNREADABLE
    found = error.errors[0].reason if error.errors else error.status
    return found if _REASON.fullmatch(found) else "unknown"
