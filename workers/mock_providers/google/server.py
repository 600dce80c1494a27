"""Google's HTTP: certificates, access tokens and the API for apps, faults included.

What purchases are is in store.py. Errors quote what they must not, as Google's do: a token, a name.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import parse_qs, unquote

import jwt
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from workers.mock_providers.google.answers import order_answer, purchase_answer
from workers.mock_providers.google.keys import ACCOUNT_EMAIL, SigningKey, account_key, signing_key
from workers.mock_providers.google.store import Store
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from starlette.requests import Request

    from workers.mock_providers.google.store import Sold

SCOPE = "https://www.googleapis.com/auth/androidpublisher"
PUBSUB_SCOPE = "https://www.googleapis.com/auth/pubsub"
VOIDS_ARE_LISTED_S = 30 * 86_400
BATCH_MAX = 1_000

# What happens to one request of the API: nothing unusual (none); it is refused before anything is
# done (throttled, unauthorized, forbidden, conflict, unavailable); it is done, and no answer comes
# (lost), or one that says nothing (empty, malformed), or that never ends (dripped).
Fault: TypeAlias = Literal[
    "none",
    "throttled",
    "unauthorized",
    "forbidden",
    "conflict",
    "unavailable",
    "lost",
    "dripped",
    "empty",
    "malformed",
]
REFUSALS: dict[str, tuple[int, str]] = {
    "throttled": (429, "rateLimitExceeded"),
    "unauthorized": (401, "permissionDenied"),
    "forbidden": (403, "userInsufficientPermission"),
    "conflict": (409, "concurrentUpdate"),
    "unavailable": (503, "backendError"),
}


@dataclass(slots=True)
class GoogleServer:
    """One developer account, and what was asked of it."""

    base: str = ""
    store: Store = field(default_factory=Store)
    faults: list[Fault] = field(default_factory=list)
    """Of the next requests of the API, in order; requests after them are answered."""
    token_faults: list[int | bytes] = field(default_factory=list)
    """Statuses, or bodies, with which the next requests for an access token are answered."""
    certificates: list[SigningKey] = field(default_factory=lambda: [signing_key("current")])
    certificates_status: int = 200
    cache_control: str = "public, max-age=19204, must-revalidate, no-transform"
    certificate_fetches: int = 0
    token_fetches: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request of the API."""
    may_see_money: bool = True
    forbidden_apps: set[str] = field(default_factory=set)
    """Apps that the service account may do nothing with."""
    account: RSAPublicKey = field(default_factory=lambda: account_key().public_key())
    """The key of the service account that may ask."""
    retry_after: str = "7"
    apps: set[str] | None = None
    """The packages whose voided purchases it lists; None: any."""
    silence: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let answers go that are `lost`, and to end those that are `dripped`."""
    pubsub: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What Pub/Sub answers, by the path after /v1/: subscriptions, and policies of topics."""
    _access_tokens: set[str] = field(default_factory=set)

    async def answer(self, request: Request) -> Response:
        """Answer a request, or do what the next fault says."""
        path = unquote(request.url.path)
        if path == "/oauth2/v1/certs":
            return self._certificates()
        if path == "/token":
            return await self._token(request)
        self.requests.append((request.method, path))
        fault = self.faults.pop(0) if self.faults else None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self._access_tokens:
            return _error(401, "authError")
        if fault in REFUSALS:
            headers = {"retry-after": self.retry_after} if fault == "throttled" else {}
            return _error(*REFUSALS[fault], headers=headers)
        return await self._end(await self._api(request, path), fault)

    def forget_access_tokens(self) -> None:
        """Take no access token any more that was given out."""
        self._access_tokens.clear()

    def _certificates(self) -> Response:
        self.certificate_fetches += 1
        if self.certificates_status != 200:
            return Response(b"", self.certificates_status)
        told = {key.kid: key.certificate for key in self.certificates}
        return JSONResponse(told, headers={"cache-control": self.cache_control})

    async def _token(self, request: Request) -> Response:
        self.token_fetches += 1
        if self.token_faults:
            fault = self.token_faults.pop(0)
            return Response(b"{}", fault) if isinstance(fault, int) else Response(fault)
        form = parse_qs((await request.body()).decode())
        try:
            told = jwt.decode(
                form["assertion"][0],
                self.account,
                algorithms=["RS256"],
                audience="https://oauth2.googleapis.com/token",
            )
        except jwt.PyJWTError:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if told["iss"] != ACCOUNT_EMAIL or told["scope"] not in (SCOPE, PUBSUB_SCOPE):
            return JSONResponse({"error": "invalid_scope"}, 400)
        token = f"ya29.mock-access-token-{self.token_fetches}"
        self._access_tokens.add(token)
        return JSONResponse({"access_token": token, "expires_in": 3_599, "token_type": "Bearer"})

    async def _api(self, request: Request, path: str) -> Response:  # noqa: PLR0911 - a table
        if path.startswith("/v1/"):
            found = self.pubsub.get(path.removeprefix("/v1/"))
            return _error(404, "NOT_FOUND") if found is None else JSONResponse(found)
        package, _, rest = path.removeprefix("/androidpublisher/v3/applications/").partition("/")
        if package in self.forbidden_apps:
            return _error(*REFUSALS["forbidden"])
        match request.method, rest.split("/"):
            case "GET", ["purchases", "productsv2", "tokens", token]:
                sold = self._sold(package, token)
                return sold if isinstance(sold, Response) else JSONResponse(purchase_answer(sold))
            case "POST", ["purchases", "products", product_id, "tokens", ending]:
                token, _, verb = ending.partition(":")
                return self._deliver(package, product_id, token, verb)
            case "GET", ["purchases", "voidedpurchases"]:
                return self._voided(request, package)
            case "GET", ["orders:batchGet"]:
                return self._batch(request, package)
            case "GET", ["orders", order_id]:
                return self._order(package, order_id)
            case "POST", ["orders", ending]:
                return await self._change_order(request, package, ending)
            case _:
                return _error(404, "notFound")

    def _sold(self, package: str, token: str) -> Sold | Response:
        sold = self.store.sold.get(token)
        if sold is None or sold.package != package:
            return _error(404, "purchaseTokenNotFound")
        return _error(410, "purchaseTokenNoLongerValid") if sold.is_gone else sold

    def _deliver(self, package: str, product_id: str, token: str, verb: str) -> Response:
        sold = self._sold(package, token)
        if isinstance(sold, Response):
            return sold
        if verb == "consume":
            refusal = self.store.consume(sold, product_id)
        else:
            refusal = self.store.acknowledge(sold)
        return _error(*refusal) if refusal else Response(b"", 204)

    def _find_order(self, package: str, order_id: str) -> Sold | None:
        sold = (each for each in self.store.sold.values() if each.package == package)
        return next((each for each in sold if each.order_id == order_id), None)

    def _order(self, package: str, order_id: str) -> Response:
        if not self.may_see_money:
            return _error(403, "userInsufficientPermission")
        sold = self._find_order(package, order_id)
        if sold is None:
            return _error(404, "orderNotFound")
        if sold.order_state == "PENDING_REFUND":
            told = order_answer(sold, self.store.now_s)
            sold.refund_takes_reads -= 1
            if not sold.refund_takes_reads:
                self.store.refund(sold, revoke=True)
            return JSONResponse(told)
        return JSONResponse(order_answer(sold, self.store.now_s))

    def _batch(self, request: Request, package: str) -> Response:
        order_ids = request.query_params.getlist("orderIds")
        if not 0 < len(order_ids) <= BATCH_MAX:
            return _error(400, "invalidValue")
        found = [self._find_order(package, each) for each in order_ids]
        if not all(found):
            return _error(404, "orderNotFound")
        orders = [order_answer(each, self.store.now_s) for each in found if each]
        return JSONResponse({"orders": orders})

    async def _change_order(self, request: Request, package: str, ending: str) -> Response:
        order_id, _, verb = ending.partition(":")
        sold = self._find_order(package, order_id)
        if sold is None:
            return _error(404, "orderNotFound")
        if verb == "reviewrefund":
            told = await request.json()
            self.store.answered_reviews.setdefault(
                told["pendingRefundToken"], told["refundPreference"]
            )
            return JSONResponse({})
        if verb != "refund" or sold.order_state not in ("PROCESSED", "PARTIALLY_REFUNDED"):
            return _error(400, "invalidOrderState")
        self.store.refund(sold, revoke=request.query_params.get("revoke") == "true")
        return Response(b"", 204)

    def _voided(self, request: Request, package: str) -> Response:
        if self.apps is not None and package not in self.apps:
            return _error(404, "applicationNotFound")
        query = request.query_params
        if query.get("type", "0") != "0":
            return _error(400, "invalidValue")
        tokens = {each.token for each in self.store.sold.values() if each.package == package}
        offset, since_s, until_s = int(query.get("token", "0")), 0.0, self.store.now_s
        # With a token it ignores the times.
        if "token" not in query:
            since_s = int(query.get("startTime", "0")) / 1_000
            until_s = min(until_s, int(query.get("endTime", "9" * 15)) / 1_000)
        with_partial = query.get("includeQuantityBasedPartialRefund") == "true"
        rows = [
            row
            for listed_s, row in self.store.voided
            if max(since_s, self.store.now_s - VOIDS_ARE_LISTED_S) <= listed_s <= until_s
            and row["purchaseToken"] in tokens
            and (with_partial or "voidedQuantity" not in row)
        ]
        size = min(int(query.get("maxResults", "1000")), 1_000)
        told: dict[str, Any] = {"voidedPurchases": rows[offset : offset + size]}
        if len(rows) > offset + size:
            told["tokenPagination"] = {"nextPageToken": str(offset + size)}
        return JSONResponse(told)

    async def _end(self, response: Response, fault: Fault | None) -> Response:
        match fault:
            case "lost":
                await self.silence.wait()
            case "dripped":
                return StreamingResponse(self._drip(), media_type="application/json")
            case "empty":
                return Response(b"", 200)
            case "malformed":
                return Response(b'{"orderId": "GPA.1", "secret of Jane Doe', 200)
            case _:
                pass
        return response

    async def _drip(self) -> AsyncIterator[bytes]:
        """Send a byte each tenth of a second until nobody wants to wait any longer."""
        while not self.silence.is_set():
            yield b" "
            with suppress(TimeoutError):
                await asyncio.wait_for(self.silence.wait(), 0.1)


def _error(status: int, reason: str, *, headers: dict[str, str] | None = None) -> Response:
    message = f"No such thing of Jane Doe, jane@example.com: {reason}"
    errors = [{"message": message, "domain": "androidpublisher", "reason": reason}]
    return JSONResponse(
        {"error": {"code": status, "message": message, "errors": errors}}, status, headers
    )


class GoogleHost:
    """An address at which one developer account after the other is served."""

    def __init__(self) -> None:
        self.base = ""
        self._google = GoogleServer()

    @asynccontextmanager
    async def account(self) -> AsyncIterator[GoogleServer]:
        """A new account without purchases."""
        self._google = GoogleServer(base=self.base)
        yield self._google
        self._google.silence.set()

    async def answer(self, request: Request) -> Response:
        """Answer as the account that is served now."""
        return await self._google.answer(request)


@asynccontextmanager
async def google_host() -> AsyncIterator[GoogleHost]:
    """Serve accounts at an address on this machine."""
    host = GoogleHost()
    routes = [Route("/{path:path}", host.answer, methods=["GET", "POST"])]
    async with serving(Starlette(routes=routes)) as host.base:
        yield host


@asynccontextmanager
async def google_server() -> AsyncIterator[GoogleServer]:
    """An account without purchases, at an address of its own."""
    async with google_host() as host, host.account() as google:
        yield google
