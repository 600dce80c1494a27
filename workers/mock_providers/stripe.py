"""Stripe's API as our calls meet it: refunds, keys, objects and events, faults included.

It keeps the answer of a key for a day, an internal error too; it does not keep refusals of a
request that was never begun. What happens to a refund is told in events, as Stripe tells it. Its
clock is the owner's.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from workers.mock_providers.event_list import ListRefused, list_events
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from starlette.datastructures import QueryParams
    from starlette.requests import Request

KEY = "rk_test_0123456789abcdef"
ACCOUNT = "acct_mock1"
KEYS_ARE_KEPT_S = 24 * 3_600
API_VERSION = "2026-10-28.endive"

# What happens to one request:
# none: it is answered.
# throttled, unauthorized, forbidden, conflict, unavailable: refused before anything is done.
# failed: an internal error before anything is done, kept under its key.
# failed_after: the same after the refund was made.
# lost: it is done, and no answer comes. dripped: the answer comes a byte at a time, and never ends.
# empty, malformed, deep: it is done, and the answer says nothing.
# proxied: something between answers, and not Stripe. may_pass: Stripe says that a refusal may pass.
Fault: TypeAlias = Literal[
    "none",
    "throttled",
    "unauthorized",
    "forbidden",
    "conflict",
    "unavailable",
    "failed",
    "failed_after",
    "lost",
    "dripped",
    "empty",
    "malformed",
    "deep",
    "proxied",
    "timed_out",
    "may_pass",
]
STATUSES: dict[str, int] = {
    "throttled": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "conflict": 409,
    "unavailable": 503,
    "timed_out": 408,
}


@dataclass(slots=True)
class Payment:
    """A payment of `amount` minor units."""

    amount: int
    is_disputed: bool = False
    # Some banks confirm a refund days later.
    refunds_are_pending: bool = False


@dataclass(slots=True)
class Kept:
    """The first answer under a key."""

    form: dict[str, str]
    status: int
    body: dict[str, Any]
    at_s: float


@dataclass(slots=True)
class StripeServer:
    """An account, and what was asked of it."""

    base: str = ""
    now_s: float = 1_795_000_000.0
    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By path."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """What it told, the oldest first."""
    undelivered: set[str] = field(default_factory=set)
    """Ids of events that some endpoint has not taken."""
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    """Where events are sent, see `add_endpoint`; and the same of the newer API."""
    destinations: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """Of the next requests, in order; requests after them are answered."""
    retry_after: str = "7"
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each."""
    posted_keys: list[str] = field(default_factory=list)
    contexts: list[str | None] = field(default_factory=list)
    silence: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let answers go that are `lost`, and to end those that are `dripped`."""
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """Of the next refunds and events."""
    _keys: dict[str, Kept] = field(default_factory=dict)

    def wait(self, *, hours: float) -> None:
        """Let time pass."""
        self.now_s += hours * 3_600

    def add_endpoint(self, url: str, **others: Any) -> None:
        """Have events sent to an address; `others` are further fields, or other values."""
        endpoint = {
            "id": f"we_{next(self.numbers)}",
            "object": "webhook_endpoint",
            "api_version": API_VERSION,
            "enabled_events": ["*"],
            "livemode": False,
            "status": "enabled",
            "url": url,
        }
        self.endpoints.insert(0, endpoint | others)

    def refunded(self, intent: str) -> int:
        """What goes back, or has gone back, of a payment."""
        return sum(
            refund["amount"]
            for refund in self.refunds
            if refund["payment_intent"] == intent and refund["status"] not in ("failed", "canceled")
        )

    def add_refund(self, intent: str, amount: int, **metadata: str) -> dict[str, Any]:
        """Refund a part of a payment, as somebody does in Stripe's dashboard."""
        refund = {
            "id": f"re_{next(self.numbers)}",
            "object": "refund",
            "amount": amount,
            "currency": "usd",
            "created": int(self.now_s),
            "payment_intent": intent,
            "charge": intent.replace("pi_", "ch_"),
            "metadata": metadata,
            "status": "pending" if self.payments[intent].refunds_are_pending else "succeeded",
        }
        self.refunds.insert(0, refund)
        self.tell("refund.created", refund)
        self._tell_charge(intent)
        return refund

    def settle_refund(self, refund: dict[str, Any], status: str) -> None:
        """End a pending refund: the bank confirms it (`succeeded`) or, days later, `failed`."""
        refund["status"] = status
        if status == "failed":
            refund["failure_reason"] = "expired_or_canceled_card"
        self.tell("refund.failed" if status == "failed" else "refund.updated", refund)
        self._tell_charge(refund["payment_intent"])

    def tell(
        self, event_type: str, told: Mapping[str, Any], *, api_version: str = API_VERSION
    ) -> None:
        """Add an event about an object as it is now, in the shape of a version of the API."""
        self.events.append(
            {
                "id": f"evt_mock{next(self.numbers)}",
                "object": "event",
                "api_version": api_version,
                "created": int(self.now_s),
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": event_type,
                "data": {"object": dict(told)},
            }
        )

    def _tell_charge(self, intent: str) -> None:
        payment, refunded = self.payments[intent], self.refunded(intent)
        charge = {
            "id": intent.replace("pi_", "ch_"),
            "object": "charge",
            "amount": payment.amount,
            "amount_captured": payment.amount,
            "amount_refunded": refunded,
            "captured": True,
            "created": int(self.now_s),
            "currency": "usd",
            "metadata": {},
            "paid": True,
            "payment_intent": intent,
            "refunded": refunded == payment.amount,
            "status": "succeeded",
        }
        self.tell("charge.refunded", charge)

    async def answer(self, request: Request) -> Response:
        """Answer a request, or do what the next fault says."""
        self.requests.append((request.method, request.url.path))
        self.contexts.append(request.headers.get("stripe-context"))
        fault = self.faults.pop(0) if self.faults else None
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, None, "invalid_request_error")
        if fault in STATUSES:
            headers = {"retry-after": self.retry_after} if fault == "throttled" else {}
            return _error(STATUSES[fault], None, "api_error", headers=headers)
        if fault == "proxied":
            return Response(b"<html>no such page</html>", 404, media_type="text/html")
        if fault == "may_pass":
            retry = {"stripe-should-retry": "true"}
            return _error(400, "lock_timeout", "invalid_request_error", headers=retry)
        if request.method == "POST":
            return await self._post(request, fault)
        return await self._end(self._get(request), fault)

    async def _post(self, request: Request, fault: Fault | None) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        key = request.headers["idempotency-key"]
        self.posted_keys.append(key)
        kept = self._keys.get(key)
        if kept is not None and self.now_s - kept.at_s < KEYS_ARE_KEPT_S:
            if kept.form != form:
                return _error(400, None, "idempotency_error")
            response = JSONResponse(kept.body, kept.status, headers={"Idempotent-Replayed": "true"})
            return await self._end(response, fault)
        if form["payment_intent"] not in self.payments:
            return _error(404, "resource_missing", "invalid_request_error")
        status, body = 500, {"error": {"type": "api_error"}}
        if fault != "failed":
            done = self._refund(form)
            status, body = (status, body) if fault == "failed_after" else done
        self._keys[key] = Kept(form, status, body, self.now_s)
        return await self._end(JSONResponse(body, status), fault)

    def _refund(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        intent = form["payment_intent"]
        payment = self.payments[intent]
        left = payment.amount - self.refunded(intent)
        amount = int(form.get("amount", left))
        code = None
        if payment.is_disputed:
            code = "charge_disputed"
        elif left == 0:
            code = "charge_already_refunded"
        elif amount > left:
            code = "amount_too_large"
        if code:
            message = f"Charge of Jane Doe, jane@example.com, {intent}"
            error = {"type": "invalid_request_error", "code": code, "message": message}
            return 400, {"error": error}
        metadata = {
            name[len("metadata[") : -1]: value
            for name, value in form.items()
            if name.startswith("metadata[")
        }
        return 200, self.add_refund(intent, amount, **metadata)

    def _get(self, request: Request) -> Response:  # noqa: PLR0911 - a table
        if request.url.path == "/v1/account":
            return JSONResponse({"id": ACCOUNT, "object": "account", "country": "DE"})
        if request.url.path == "/v1/refunds":
            limit = int(request.query_params.get("limit", "10"))
            intent = request.query_params["payment_intent"]
            found = [refund for refund in self.refunds if refund["payment_intent"] == intent]
            return JSONResponse(
                {"object": "list", "data": found[:limit], "has_more": len(found) > limit}
            )
        if request.url.path == "/v1/events":
            wanted = request.query_params.get("delivery_success")
            events = [
                each
                for each in self.events
                if wanted is None or (wanted == "false") == (each["id"] in self.undelivered)
            ]
            try:
                listed = list_events(events, request.query_params, now_s=self.now_s)
            except ListRefused:
                return _error(400, "resource_missing", "invalid_request_error")
            return JSONResponse(listed)
        if request.url.path == "/v1/webhook_endpoints":
            return JSONResponse(_page(self.endpoints, request.query_params))
        if request.url.path == "/v2/core/event_destinations":
            return JSONResponse({"data": self.destinations})
        found_object = self.objects.get(request.url.path)
        if found_object is None:
            return _error(404, "resource_missing", "invalid_request_error")
        return JSONResponse(found_object)

    async def _end(self, response: Response, fault: Fault | None) -> Response:
        match fault:
            case "lost":
                await self.silence.wait()
            case "dripped":
                return StreamingResponse(self._drip(), media_type="application/json")
            case "empty":
                return Response(b"", 200)
            case "malformed":
                return Response(b'{"id": "re_1", "secret of Jane Doe', 200)
            case "deep":
                return Response(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 200)
            case _:
                pass
        return response

    async def _drip(self) -> AsyncIterator[bytes]:
        """Send a byte each tenth of a second until nobody wants to wait any longer."""
        while not self.silence.is_set():
            yield b" "
            with suppress(TimeoutError):
                await asyncio.wait_for(self.silence.wait(), 0.1)


def _page(rows: list[dict[str, Any]], query: QueryParams) -> dict[str, Any]:
    """Return what stands after `starting_after`, in the form of a list."""
    limit, after = int(query.get("limit", "10")), query.get("starting_after")
    first = next((no + 1 for no, row in enumerate(rows) if row["id"] == after), 0)
    page = rows[first : first + limit]
    return {"object": "list", "data": page, "has_more": len(rows) > first + limit}


def _error(
    status: int, code: str | None, kind: str, *, headers: dict[str, str] | None = None
) -> Response:
    error = {"type": kind, "message": "No such thing of Jane Doe, jane@example.com"}
    return JSONResponse({"error": error | ({"code": code} if code else {})}, status, headers)


class StripeHost:
    """An address at which one account after the other is served."""

    def __init__(self) -> None:
        self.base = ""
        self._stripe = StripeServer()

    @asynccontextmanager
    async def account(self) -> AsyncIterator[StripeServer]:
        """A new account without payments."""
        self._stripe = StripeServer(base=self.base)
        yield self._stripe
        self._stripe.silence.set()

    async def answer(self, request: Request) -> Response:
        """Answer as the account that is served now."""
        response = await self._stripe.answer(request)
        response.headers["date"] = formatdate(self._stripe.now_s, usegmt=True)
        return response


@asynccontextmanager
async def stripe_host() -> AsyncIterator[StripeHost]:
    """Serve accounts at an address on this machine."""
    host = StripeHost()
    routes = [Route("/{path:path}", host.answer, methods=["GET", "POST"])]
    async with serving(Starlette(routes=routes), dates_answers=False) as host.base:
        yield host


@asynccontextmanager
async def stripe_server() -> AsyncIterator[StripeServer]:
    """An account without payments, at an address of its own."""
    async with stripe_host() as host, host.account() as stripe:
        yield stripe
