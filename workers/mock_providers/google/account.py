"""Google as `make run` uses it: an account whose sales the simulator makes.

It pushes what it tells, signed by its own key, whose certificate the fleet fetches here. What it
knows is gone when it ends.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tasks.providers.google import Google
from workers.mock_providers.google.keys import account_file, read_account_key, signing_key
from workers.mock_providers.google.pushes import (
    SUBSCRIPTION,
    pubsub_of,
    push_of,
    signed_token,
)
from workers.mock_providers.google.server import GoogleServer
from workers.mock_providers.google.store import Item, Store
from workers.mock_providers.sender import Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

    from workers.mock_providers.sender import Sender
    from workers.settings import Settings

log = structlog.get_logger(__name__)


class MadeSale(msgspec.Struct):
    """A sale as the simulator asks for it; `account_id` is the buyer whom the store names.

    So many are refunded at once. The simulator pushes what is to be told of it.
    """

    token: str
    product_id: str
    quantity: int = 1
    refunded: int = 0
    account_id: str | None = None
    pending: bool = False
    is_test: bool = False


_SALES = msgspec.json.Decoder(list[MadeSale])


class MockGoogle:
    """See `workers.mock_providers.mock.Mock`."""

    name = Google.name

    def settings(self, base: str, folder: Path) -> Mapping[str, str]:
        """Return where Google is, and a key for it, which is written to the folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {
            "GOOGLE_API_BASE": base,
            "GOOGLE_CERTIFICATES_URL": f"{base}/oauth2/v1/certs",
            "GOOGLE_PUBSUB_BASE": base,
            "GOOGLE_PUSH_SUBSCRIPTION": SUBSCRIPTION,
            "GOOGLE_SERVICE_ACCOUNT_FILE": str(account_file(folder, base)),
        }

    def make_server(self, settings: Settings, sender: Sender, folder: Path) -> Starlette:
        """Return the server, which pushes to the fleet as its settings expect it."""
        return _Account(settings, sender, folder).server


class _Account:
    def __init__(self, settings: Settings, sender: Sender, folder: Path) -> None:
        self._settings = settings
        self._sender = sender
        # The fleet may know certificates, messages and orders of the mock that ran before.
        self._run = f"{time.time_ns()}"
        self._key = signing_key(self._run)
        self._google = GoogleServer(
            account=read_account_key(folder),
            certificates=[self._key],
            store=Store(orders=f"GPA.{self._run}"),
            pubsub=pubsub_of(
                f"http://{settings.hosts[0]}:{settings.port}/webhooks/{Google.name}",
                email=settings.google_push_email,
                audience=settings.google_push_audience,
            ),
        )
        self._store = self._google.store
        self._told = 0
        self.server = Starlette(
            routes=[
                # Not of Google: the simulator says here what is sold, and has its pushes signed.
                Route("/mock/sales", self._sell, methods=["POST"]),
                Route("/mock/token", self._give_token, methods=["GET"]),
                Route("/{path:path}", self._answer, methods=["GET", "POST"]),
            ]
        )

    async def _sell(self, request: Request) -> Response:
        self._store.now_s = time.time()
        for made in _SALES.decode(await request.body()):
            item = Item(made.product_id, made.quantity)
            sold = self._store.sell(
                item,
                pending=made.pending,
                token=made.token,
                account_id=made.account_id,
                is_test=made.is_test,
                package=self._settings.google_packages[0],
            )
            if made.refunded == made.quantity:
                self._store.refund(sold, revoke=True)
            elif made.refunded:
                self._store.refund_some(sold, item, made.refunded)
        self._told = len(self._store.told)
        return Response(status_code=204)

    async def _give_token(self, _request: Request) -> Response:
        return PlainTextResponse(self._token(int(time.time())))

    async def _answer(self, request: Request) -> Response:
        self._store.wait(seconds=max(0.0, time.time() - self._store.now_s))
        answer = await self._google.answer(request)
        log.info(
            "asked",
            provider=Google.name,
            method=request.method,
            # The path may hold a purchase token.
            path=request.url.path.split("/tokens/")[0],
            status=answer.status_code,
        )
        return self._tell(answer)

    def _tell(self, answer: Response) -> Response:
        """Push what was told since the last time."""
        for number in range(self._told, len(self._store.told)):
            self._push(self._store.told[number], f"mock-{self._run}-{number}")
        self._told = len(self._store.told)
        return answer

    def _push(self, data: Mapping[str, Any], message_id: str) -> None:
        self._sender.put(
            Outgoing(
                provider=Google.name,
                event_type=next(name for name in data if name.endswith("Notification")),
                path=f"/webhooks/{Google.name}",
                body=push_of(data, message_id=message_id),
                sign=self._sign,
            )
        )

    def _sign(self, at_s: int) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token(at_s)}"}

    def _token(self, at_s: int) -> str:
        return signed_token(
            self._key,
            aud=self._settings.google_push_audience,
            email=self._settings.google_push_email,
            iat=at_s,
            exp=at_s + 3_600,
        )
