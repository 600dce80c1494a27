"""What answers over HTTP: ROUTES has one row per path, with the endpoint that answers it.

The short endpoints are here; webhooks are received in receiver.py. Never redirects: a path that
no row names is 404, because few senders repeat a POST after a redirect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from workers.receiving.receiver import WebhookEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from workers.receiving.web import Web


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRoute:
    """One row of ROUTES; `answers` says in words what a caller gets."""

    method: Literal["GET", "POST"]
    path: str
    endpoint: Callable[..., Any]
    answers: str
    # Such a route moves to METRICS_PORT if that is set.
    is_for_scrapers: bool = False


async def landing(request: Request) -> Response:
    """Return ROUTES as text, for a person who opens the address."""
    web: Web = request.state.web
    rows = [
        f"{row.method:<4} {row.path.format(provider=provider):<18} {row.answers}"
        for row in ROUTES
        for provider in (web.receiver.providers if "{provider}" in row.path else ("",))
        if not row.is_for_scrapers
    ]
    title = "coinfleet receives payment events for a ledger of coins."
    return PlainTextResponse("\n".join([title, "", *rows, ""]))


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


def make_router(*, scrapers: bool, others: bool = True, lifespan: Any = None) -> Router:
    """Return a router for the routes of scrapers, for all others, or for both.

    A router without Starlette around it, whose middleware would take a sixth of a webhook's time:
    uvicorn logs and answers what an endpoint did not expect.
    """
    routes = [
        Route(row.path, row.endpoint, methods=[row.method])
        for row in ROUTES
        if (scrapers if row.is_for_scrapers else others)
    ]
    return Router(routes, lifespan=lifespan, redirect_slashes=False)
