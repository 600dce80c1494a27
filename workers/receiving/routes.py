"""What answers over HTTP: ROUTES has one row per path, with the endpoint that answers it.

The short endpoints are here; webhooks are received in receiver.py. Never redirects: a path that
no row names is 404, because few senders repeat a POST after a redirect.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from db.errors import DatabaseUnavailable
from db.inbox.event_states import read_event_state
from tasks.providers.signed import NotAuthentic
from workers.receiving.answers import (
    NOT_AUTHENTIC,
    NOT_READ,
    UNKNOWN_EVENT,
    UNKNOWN_PROVIDER,
)
from workers.receiving.purchases import PurchaseEndpoint
from workers.receiving.receiver import WebhookEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from tasks.providers.provider import Provider
    from workers.receiving.web import Web
    from workers.serving.answer import Answer
    from workers.signals.tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRoute:
    """One row of ROUTES; `answers` says in words what a caller gets."""

    method: Literal["GET", "POST"]
    path: str
    endpoint: Callable[..., Any]
    answers: str
    # Such a route moves to METRICS_PORT if that is set.
    is_for_scrapers: bool = False
    # Whether it takes events, and so has a span where tracing is on.
    is_traced: bool = False
    # The providers for whom the path exists, in this process.
    is_for: Callable[[Provider, Web], bool] = lambda _provider, _web: True


async def landing(request: Request) -> Response:
    """Return ROUTES as text, for a person who opens the address."""
    web: Web = request.state.web
    rows = [
        f"{row.method:<4} {path:<18} {row.answers}"
        for row in ROUTES
        for path in _paths(row, web)
        if not row.is_for_scrapers
    ]
    title = "coinfleet receives payment events for a ledger of coins."
    return PlainTextResponse("\n".join([title, "", *rows, ""]))


def _paths(row: WebRoute, web: Web) -> list[str]:
    """Return the row's path, once per provider if it names one."""
    path = row.path.replace("{event_id:path}", "ID")
    if "{provider}" not in path:
        return [path]
    names = [name for name, each in web.receiver.providers.items() if row.is_for(each, web)]
    return [path.replace("{provider}", name) for name in names]


async def healthz(_request: Request) -> Response:
    """Return 200: the process lives."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Return 200 if a webhook would be stored, else 503; both name the states that were found."""
    web: Web = request.state.web
    found = await web.probes.find()
    return JSONResponse(
        {"ready": found.is_ready, "database": found.database, "queue": found.queue},
        status_code=200 if found.is_ready else 503,
    )


async def metrics(request: Request) -> Response:
    """Return all metrics in Prometheus' text format."""
    web: Web = request.state.web
    return Response(await web.metrics.render(), media_type=CONTENT_TYPE_LATEST)


# A sender who asks does not wait for longer; webhooks are stored meanwhile.
STATE_TIMEOUT_S = 5.0


class EventStateEndpoint:
    """Answers a provider who asks what became of one of its events."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its body is not read."""
        found = await self._find(scope)
        if isinstance(found, Response):
            await found(scope, receive, send)
        else:
            await found.send(send)

    async def _find(self, scope: Scope) -> Response | Answer:
        web: Web = scope["state"]["web"]
        provider = web.receiver.providers.get(scope["path_params"]["provider"])
        if provider is None or not provider.may_ask:
            return UNKNOWN_PROVIDER
        event_id: str = scope["path_params"]["event_id"]
        try:
            provider.verify_question(dict(scope["headers"]), now_s=time.time())
            # No event is stored under such an id, and the database takes no NUL. Not `event_id`:
            # the router has cut a line break from its end.
            if not scope["path"].isprintable():
                return UNKNOWN_EVENT
            async with asyncio.timeout(STATE_TIMEOUT_S):
                state = await read_event_state(web.state_pool, provider.name, event_id)
        except NotAuthentic as refused:
            return NOT_AUTHENTIC[refused.cause]
        except (DatabaseUnavailable, TimeoutError):
            return NOT_READ
        if state is None:
            return UNKNOWN_EVENT
        return Response(msgspec.json.encode(state), media_type="application/json")


ROUTES = (
    WebRoute(
        method="GET",
        path="/",
        endpoint=landing,
        answers="200, this page",
    ),
    WebRoute(
        method="POST",
        path="/webhooks/{provider}",
        endpoint=WebhookEndpoint(),
        answers="200 stored, 4xx refused, 503 not stored: send it again",
        is_traced=True,
    ),
    WebRoute(
        method="GET",
        # An id may have a slash in it.
        path="/events/{provider}/{event_id:path}",
        endpoint=EventStateEndpoint(),
        answers="200 what became of it, 400 not authentic, 404 unknown",
        is_for=lambda provider, _web: provider.may_ask,
    ),
    WebRoute(
        method="POST",
        path="/purchases/{provider}",
        endpoint=PurchaseEndpoint(),
        answers="202 stored, 401 not signed in, 429 too often, 503 not stored",
        is_traced=True,
        is_for=lambda provider, web: web.submissions is not None and provider.takes_submissions,
    ),
    WebRoute(
        method="GET",
        path="/healthz",
        endpoint=healthz,
        answers="200 while the process lives",
    ),
    WebRoute(
        method="GET",
        path="/readyz",
        endpoint=readyz,
        answers="200 if a webhook would be stored, else 503",
    ),
    WebRoute(
        method="GET",
        path="/metrics",
        endpoint=metrics,
        answers="200, metrics of this process and of the fleet",
        is_for_scrapers=True,
    ),
)


def make_router(
    *,
    scrapers: bool,
    others: bool = True,
    lifespan: Any = None,
    tracing: Tracing | None = None,
) -> Router:
    """Return a router for the routes of scrapers, for all others, or for both.

    A router without Starlette around it, whose middleware would take a sixth of a webhook's time:
    uvicorn logs and answers what an endpoint did not expect.
    """
    routes = [
        Route(
            row.path,
            tracing.around(row.endpoint) if tracing and row.is_traced else row.endpoint,
            methods=[row.method],
        )
        for row in ROUTES
        if (scrapers if row.is_for_scrapers else others)
    ]
    return Router(routes, lifespan=lifespan, redirect_slashes=False)
