"""A receiver served in the test's own loop, and real signed webhooks to send to it."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from tasks.providers import stripe
from tests.workers.serving.listening import listening
from workers.cli.simulate.events import Webhook, app_webhook, gift_sent, stripe_webhook
from workers.cli.simulate.stripe import StripePayment, payment_intent_succeeded
from workers.receiving.server import Server, make_server
from workers.serving.limits import CONNECTIONS_MAX, ConnectionLimits
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection

STRIPE_SECRET = DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"]
APP_SECRET = DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]
# What no client here uses: each would read the machine's CAs, which takes tens of milliseconds.
NO_TLS = ssl.create_default_context()
# A port where nobody listens here (the TCP port service multiplexer's).
NOBODY = "127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Web:
    """A running receiver and its address."""

    port: int
    client: httpx.AsyncClient
    server: Server

    @property
    def limits(self) -> ConnectionLimits:
        """The limits of its connections."""
        found: ConnectionLimits = self.server.lifespan.state["limits"]
        return found

    async def post(self, webhook: Webhook) -> httpx.Response:
        return await self.client.post(
            webhook.path, content=webhook.body, headers=dict(webhook.headers)
        )

    async def send(self, request: bytes) -> bytes:
        """Send raw bytes, and read until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await reader.readuntil(b"\r\n\r\n") + await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    database_url: str,
    redis_url: str,
    *,
    connections_max: int = CONNECTIONS_MAX,
    **settings: Any,
) -> AsyncIterator[Web]:
    """Serve on a free port, in the test's own loop; `settings` are further ones, or others."""
    given: dict[str, Any] = {
        "web_database_url": database_url,
        "redis_url": redis_url,
        "stripe_webhook_secrets": ("whsec_until_it_was_rotated", STRIPE_SECRET),
        "app_webhook_secrets": (APP_SECRET,),
    }
    server = make_server(Settings(**given | settings), connections_max=connections_max)
    async with (
        listening(server) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=NO_TLS) as client,
    ):
        yield Web(port, client, server)


def a_purchase(key: str = "1") -> Webhook:
    payment = StripePayment(
        key=key,
        amount_minor=999,
        created_s=int(time.time()),
        metadata={"profile_id": str(uuid4()), "sku": "coins_100"},
    )
    return stripe_webhook(payment_intent_succeeded(payment), secret=STRIPE_SECRET, at_s=time.time())


def a_gift(event_id: str = "gift-1", **data: Any) -> Webhook:
    event = gift_sent(sender_id=uuid4(), recipient_id=uuid4(), gift_type="rose", **data)
    return app_webhook(event_id, event, secret=APP_SECRET, at_s=time.time())


def authentic(body: bytes) -> Webhook:
    """Sign any bytes as Stripe would."""
    headers = stripe.sign(body, secret=STRIPE_SECRET, timestamp_s=int(time.time()))
    return Webhook("/webhooks/stripe", headers, body)


async def inbox(db: Connection) -> list[dict[str, Any]]:
    rows = await db.fetch(
        "select provider, provider_event_id, event_type, payload, state, reason"
        " from fleet.inbox_events order by id"
    )
    return [dict(row) for row in rows]
