"""Apple's API as our calls meet it: history, transactions and consumption, refusals included.

One environment, production or the sandbox. Without a good token the answer is 401, in plain text.
Written from Apple's documentation; its clock is the owner's.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import jwt
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from starlette.requests import Request

ISSUER_ID = "57246542-96fe-1a63-e053-0824d011072a"
KEY_ID = "2X9R4HXF34"
AUDIENCE = "appstoreconnect-v1"
TOKEN_S_MAX = 3_600
PAGE = 20
KEEPS = {"Production": timedelta(days=180), "Sandbox": timedelta(days=30)}
CONSUMPTION = re.compile(r"/inApps/v2/transactions/consumption/([^/]+)")
TRANSACTION = re.compile(r"/inApps/v1/transactions/([^/]+)")
HISTORY = "/inApps/v1/notifications/history"
TEST = "/inApps/v1/notifications/test"

# What happens to one request:
# none: it is answered. throttled, unavailable, failed: refused before anything is done.
# lost: it is done, and no answer comes. dripped: the answer comes a byte at a time, and never ends.
Fault: TypeAlias = Literal["none", "throttled", "unavailable", "failed", "lost", "dripped"]
STATUSES: dict[Fault, tuple[int, int]] = {
    "throttled": (429, 4_290_000),
    "unavailable": (503, 5_000_001),
    "failed": (500, 5_000_000),
}
STATUSES_OF_DELIVERY = frozenset(
    {
        "DELIVERED",
        "UNDELIVERED_QUALITY_ISSUE",
        "UNDELIVERED_WRONG_ITEM",
        "UNDELIVERED_SERVER_OUTAGE",
        "UNDELIVERED_OTHER",
    }
)
PREFERENCES = frozenset({"DECLINE", "GRANT_FULL", "GRANT_PRORATED"})
WHOLE_MILLI_PERCENT = 100_000


@dataclass(slots=True)
class AppleServer:
    """One environment, and what was asked of it; `apps` are bundle ids."""

    key: EllipticCurvePublicKey
    apps: Collection[str]
    environment: str = "Production"
    base: str = ""
    now_ms: int = 0
    """Its clock; 0: every time is within what it keeps."""
    notifications: list[tuple[int, str]] = field(default_factory=list)
    """Of each its time in milliseconds, and its signed payload; what is told late stands last."""
    transactions: dict[str, str] = field(default_factory=dict)
    """The signed transaction of each transaction id."""
    consumption: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was answered about each transaction; the first answer counts."""
    has_address: bool = True
    """Whether the app has an address for notifications."""
    test_results: dict[str, str] = field(default_factory=dict)
    """What became of each test notification, by its token; one that is not here is on its way."""
    test_result: str | None = "SUCCESS"
    """What becomes of the next ones at once; None: they stay on their way."""
    tests: int = 0
    """How many test notifications were asked for."""
    is_released: bool = True
    """Production refuses every key until the app has its first release."""
    retry_after_ms: int = 0
    """The time at which it wants to be asked again, told with 429."""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    """Of the token of each request."""
    silence: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        """Answer a request, or do what the next fault says."""
        self.requests.append((request.method, request.url.path))
        fault: Fault = self.faults.pop(0) if self.faults else "none"
        if not self._is_authorized(request):
            return PlainTextResponse("Unauthenticated\n", 401)
        if fault in STATUSES:
            status, code = STATUSES[fault]
            headers = {"Retry-After": str(self.retry_after_ms)} if status == 429 else {}
            return _error(status, code, headers)
        response = await self._answer(request)
        if fault == "lost":
            await self.silence.wait()
        if fault == "dripped":
            return StreamingResponse(self._drip(), media_type="application/json")
        return response

    async def _answer(self, request: Request) -> Response:  # noqa: PLR0911 - a table
        method, path = request.method, request.url.path
        if method == "POST" and path == HISTORY:
            return self._history(await _body(request), request.query_params.get("paginationToken"))
        if method == "POST" and path == TEST:
            return self._send_test()
        if method == "GET" and path.startswith(f"{TEST}/"):
            return self._test_result(path.removeprefix(f"{TEST}/"))
        if method == "GET" and (found := TRANSACTION.fullmatch(path)):
            signed = self.transactions.get(found[1])
            if signed is None:
                return _unknown(found[1])
            return JSONResponse({"signedTransactionInfo": signed})
        if method == "PUT" and (found := CONSUMPTION.fullmatch(path)):
            return self._consume(found[1], await _body(request))
        return _error(404, 4_040_000)

    def _send_test(self) -> Response:
        if not self.has_address:
            return _error(404, 4_040_007)
        self.tests += 1
        token = f"{self.environment}-{self.tests}"
        if self.test_result is not None:
            self.test_results[token] = self.test_result
        return JSONResponse({"testNotificationToken": token})

    def _test_result(self, token: str) -> Response:
        result = self.test_results.get(token)
        if result is None:
            return _error(404, 4_040_008)
        attempts = [{"attemptDate": self.now_ms, "sendAttemptResult": result}]
        return JSONResponse({"signedPayload": "e30.e30.", "sendAttempts": attempts})

    def _history(self, asked: dict[str, Any], token: str | None) -> Response:
        begin, end = asked.get("startDate"), asked.get("endDate")
        if not isinstance(begin, int) or not isinstance(end, int) or begin > end:
            return _error(400, 4_000_015)
        keeps_ms = KEEPS[self.environment] // timedelta(milliseconds=1)
        if self.now_ms and begin < self.now_ms - keeps_ms:
            return _error(400, 4_000_015)
        if token is not None and not token.isdecimal():
            return _error(400, 4_000_014)
        first = int(token or 0)
        found = [signed for at_ms, signed in self.notifications if begin <= at_ms <= end]
        told: dict[str, Any] = {
            "notificationHistory": [
                {"signedPayload": signed, "sendAttempts": []}
                for signed in found[first : first + PAGE]
            ],
            "hasMore": len(found) > first + PAGE,
        }
        if told["hasMore"]:
            told["paginationToken"] = str(first + PAGE)
        return JSONResponse(told)

    def _consume(self, transaction_id: str, told: dict[str, Any]) -> Response:
        if transaction_id not in self.transactions:
            return _unknown(transaction_id)
        if not _is_consumption(told):
            return _error(400, 4_000_000)
        self.consumption.setdefault(transaction_id, told)
        return Response(b"", 202)

    def _is_authorized(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, self.key, algorithms=["ES256"], audience=AUDIENCE)
            is_good = (
                jwt.get_unverified_header(token)["kid"] == KEY_ID
                and claims["iss"] == ISSUER_ID
                and claims["bid"] in self.apps
                and 0 < claims["exp"] - claims["iat"] <= TOKEN_S_MAX
            )
        except (jwt.PyJWTError, KeyError):
            return False
        self.claims.append(claims)
        return is_good and self.is_released

    async def _drip(self) -> AsyncIterator[bytes]:
        """Send a byte each tenth of a second until nobody wants to wait any longer."""
        while not self.silence.is_set():
            yield b" "
            with suppress(TimeoutError):
                await asyncio.wait_for(self.silence.wait(), 0.1)


def _is_consumption(told: dict[str, Any]) -> bool:
    """Return whether Apple takes this answer; without the customer's consent it takes none."""
    percentage, preference = told.get("consumptionPercentage"), told.get("refundPreference")
    return (
        told.get("customerConsented") is True
        and isinstance(told.get("sampleContentProvided"), bool)
        and told.get("deliveryStatus") in STATUSES_OF_DELIVERY
        and (
            percentage is None
            or (isinstance(percentage, int) and 0 <= percentage <= WHOLE_MILLI_PERCENT)
        )
        and (preference is None or preference in PREFERENCES)
        and (preference != "GRANT_PRORATED" or bool(percentage))
    )


async def _body(request: Request) -> dict[str, Any]:
    try:
        told = json.loads(await request.body())
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _unknown(transaction_id: str) -> Response:
    if not transaction_id.isdecimal():
        return _error(400, 4_000_006)
    return _error(404, 4_040_010)


def _error(status: int, code: int, headers: dict[str, str] | None = None) -> Response:
    message = "The account of Jane Doe, jane@example.com, was refused."
    return JSONResponse({"errorCode": code, "errorMessage": message}, status, headers)


@asynccontextmanager
async def apple_server(
    key: EllipticCurvePublicKey, *, apps: Collection[str], environment: str = "Production"
) -> AsyncIterator[AppleServer]:
    """Serve one environment to those who have the private key."""
    server = AppleServer(key, apps, environment)
    routes = [Route("/{path:path}", server.answer, methods=["GET", "POST", "PUT"])]
    async with serving(Starlette(routes=routes)) as server.base:
        yield server
        server.silence.set()
