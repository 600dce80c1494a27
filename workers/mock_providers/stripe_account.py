"""Stripe as `make run` uses it: an account whose payments the simulator makes.

It tells the fleet of each refund by signed webhooks. What it knows is gone when it ends.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tasks.providers import stripe
from tasks.providers.stripe import Stripe
from workers.mock_providers.sender import Outgoing
from workers.mock_providers.stripe import KEY, Payment, StripeServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

    from workers.mock_providers.sender import Sender
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# Older events are listed no more.
EVENTS_MAX = 10_000

_AMOUNTS = msgspec.json.Decoder(dict[str, int])


class MockStripe:
    """See `workers.mock_providers.mock.Mock`."""

    name = Stripe.name

    def settings(self, base: str, folder: Path) -> Mapping[str, str]:
        """Return the address of the API and a key for it."""
        del folder
        return {"STRIPE_API_BASE": base, "STRIPE_API_KEY": KEY}

    def make_server(self, settings: Settings, sender: Sender, folder: Path) -> Starlette:
        """Return the server; the first of the fleet's webhook secrets signs."""
        del folder
        return _Account(settings.stripe_webhook_secrets[0], sender).server


class _Account:
    def __init__(self, secret: str, sender: Sender) -> None:
        self._secret = secret
        self._sender = sender
        # The fleet keeps its data when it stops: a number of an earlier run would name what that
        # run told, and the fleet has seen that.
        self._stripe = StripeServer(numbers=count(time.time_ns()))
        self._stripe.add_endpoint(f"{sender.fleet}/webhooks/{Stripe.name}")
        self._told = 0
        self.server = Starlette(
            routes=[
                # Not of Stripe: the simulator says here what was paid.
                Route("/mock/payments", self._pay, methods=["POST"]),
                Route("/{path:path}", self._answer, methods=["GET", "POST"]),
            ]
        )

    async def _pay(self, request: Request) -> Response:
        for intent, amount in _AMOUNTS.decode(await request.body()).items():
            self._stripe.payments[intent] = Payment(amount)
        return Response(status_code=204)

    async def _answer(self, request: Request) -> Response:
        self._stripe.now_s = time.time()
        answer = await self._stripe.answer(request)
        log.info(
            "asked",
            provider=Stripe.name,
            method=request.method,
            path=request.url.path,
            status=answer.status_code,
        )
        for event in self._stripe.events[self._told :]:
            self._send(event)
        # They stay in the list of events, so that one that was not sent is found there.
        del self._stripe.events[:-EVENTS_MAX]
        self._told = len(self._stripe.events)
        return answer

    def _send(self, event: Mapping[str, Any]) -> None:
        body = msgspec.json.encode(event)
        self._sender.put(
            Outgoing(
                provider=Stripe.name,
                event_type=event["type"],
                path=f"/webhooks/{Stripe.name}",
                body=body,
                sign=lambda at_s: stripe.sign(body, secret=self._secret, timestamp_s=at_s),
            )
        )
