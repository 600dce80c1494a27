"""The app's server of a test: an address that lasts, and an app behind it that does not."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tasks.providers.app import App

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from workers.mock_providers.app import MockApp

OLD = "whsec_" + b64encode(b"the secret that is replaced now").decode()
NEW = "whsec_" + b64encode(b"the secret that replaces it now").decode()
PATH = "/hooks/coinfleet?tenant=7"


class Receiver:
    """Hands what comes to the app of the test."""

    def __init__(self, app: MockApp) -> None:
        self.app = app
        self.base = ""

    async def hear(self, request: Request) -> Response:
        """Let the app hear a message."""
        return await self.app.hear(request)

    def tell(self, request: Request) -> Response:
        """Answer what the app has heard."""
        return self.app.tell(request)

    def provider(self, *secrets: str) -> App:
        """The app as a worker knows it, with these secrets."""
        return App(events_url=self.base + PATH, events_secrets=secrets or (OLD,))
