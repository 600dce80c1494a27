"""uvicorn around the console: where it listens, and how it stops while people look on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
import uvicorn

from db.connections.roles import check_login
from db.errors import DatabaseRefused, describe
from workers.console.application import STATEMENT_TIMEOUT_S, make_app
from workers.processes import CONSOLE

if TYPE_CHECKING:
    from socket import socket

    from workers.console.desk import Desk
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# A page that is being made may take so long before it is cut off.
DRAIN_TIMEOUT_S = 1
CONNECTIONS_MAX = 500


class Server(uvicorn.Server):
    """Ends the live streams first, because a browser would keep them open for ever."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings
        self._address_check: asyncio.Task[None] | None = None
        self.is_address_refused = False
        """Whether the process stops because the database refused its address."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen; check the database's address meanwhile."""
        try:
            await super().startup(sockets)
        except SystemExit as end:
            if isinstance(end.__context__, OSError):
                reason = (
                    f"can't listen on {self._settings.console_host}, port"
                    f" {self._settings.console_port}: CONSOLE_HOST must name addresses of this"
                    " machine, and no other process may listen at CONSOLE_PORT"
                )
                log.error("console_not_started", reason=reason)  # noqa: TRY400 - it says it all
            raise
        if self.started:
            self._address_check = asyncio.create_task(self._check_address())

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take no more connections, and stop once the pages that are being made are sent."""
        desk: Desk = self.lifespan.state["desk"]
        desk.feed.end_streams()
        if self._address_check:
            self._address_check.cancel()
        await super().shutdown(sockets)

    async def _check_address(self) -> None:
        """Stop the process if the database refuses the address for good."""
        url = self._settings.url_for(CONSOLE, warn=False)
        try:
            await check_login(CONSOLE, url=url, within_s=STATEMENT_TIMEOUT_S)
        except DatabaseRefused as error:
            log.error("console_not_started", reason=str(error))  # noqa: TRY400 - as above
            self.is_address_refused = self.should_exit = True
        # What passes by waiting: each page says it until then.
        except Exception as error:  # noqa: BLE001
            log.warning("database_unreachable", reason=describe(error), then="pages say so")


def make_server(settings: Settings) -> Server:
    """Return the console behind its server, which listens once it is run."""
    config = uvicorn.Config(
        make_app(settings),
        # uvicorn hands several on to the loop as they are.
        host=settings.console_host.split(","),  # type: ignore[arg-type]
        port=settings.console_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=DRAIN_TIMEOUT_S,
    )
    return Server(config, settings)
