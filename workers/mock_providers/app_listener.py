"""The app as `make run` uses it: hears what becomes of gifts and purchases, and says so in the log.

`GET /heard` answers all that it heard. What it knows is gone when it ends.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import structlog

from tasks.providers.app import App
from workers.mock_providers.app import MockApp, make_app

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from workers.mock_providers.sender import Sender
    from workers.settings import Settings

log = structlog.get_logger(__name__)

SECRET = "whsec_" + base64.b64encode(b"coinfleet tells its mock app so!").decode()


class MockListener:
    """See `workers.mock_providers.mock.Mock`."""

    name = App.name

    def settings(self, base: str, folder: Path) -> Mapping[str, str]:
        """Return where the app is told, and the secret with which that is signed."""
        del folder
        return {"APP_EVENTS_URL": f"{base}/coins", "APP_EVENTS_SECRETS": SECRET}

    def make_server(self, settings: Settings, sender: Sender, folder: Path) -> Starlette:
        """Return the server; it tells the fleet of nothing."""
        del settings, sender, folder
        return make_app(_Listener(MockApp(secrets=[SECRET])))


class _Listener:
    def __init__(self, app: MockApp) -> None:
        self._app = app
        self._logged: set[str] = set()

    async def hear(self, request: Request) -> Response:
        """Take a message, and log what it says unless it was heard before."""
        answer = await self._app.hear(request)
        message = self._app.taken.get(request.headers.get("webhook-id", ""))
        if message is not None and message.id not in self._logged:
            self._logged.add(message.id)
            log.info(
                "app_heard",
                type=message.type,
                coins=message.data.get("coins"),
                coin_balance=message.data.get("coin_balance"),
                profile_id=message.data.get("profile_id"),
                purchase_id=message.data.get("purchase_id"),
            )
        # What only tests look at.
        del self._app.headers[:], self._app.paths[:], self._app.arrivals[:]
        return answer

    def tell(self, request: Request) -> Response:
        """Answer what was taken."""
        return self._app.tell(request)
