"""uvicorn around the application: where it listens, how it starts and how it stops.

Refuses no connection and reads no request itself: connection.py does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn

from db.connections.roles import check_login
from db.errors import DatabaseRefused, describe
from workers.processes import WEB
from workers.receiving.application import STATEMENT_TIMEOUT_S, make_app
from workers.receiving.connections.connection import BoundedConnection
from workers.receiving.connections.descriptors import BACKLOG_MAX
from workers.receiving.connections.limits import CONNECTIONS_MAX
from workers.receiving.connections.protocol import count_instead_of_logging
from workers.receiving.reporter import REPORTING
from workers.receiving.routes import make_router

if TYPE_CHECKING:
    from socket import socket

    from starlette.routing import Router

    from workers.receiving.connections.limits import ConnectionLimits
    from workers.receiving.web import Web
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# Requests in flight may take so long before they are cancelled. Before that, a sender that still
# waits for the database, or has not sent its whole request, is told to send it again.
DRAIN_TIMEOUT_S = 3
REFUSE_AFTER_S = 2.0
# Providers keep connections open between deliveries; opening one costs more than keeping it.
KEEP_ALIVE_S = 75
# uvicorn's own exit code for a port that is taken.
STARTUP_FAILURE = 3


class Server(uvicorn.Server):
    """uvicorn, which was the fastest of three ASGI servers here; stops without cutting off.

    `scraped` is a second application at a port of its own, with the state of the first.
    """

    def __init__(self, config: uvicorn.Config, *, scraped: uvicorn.Config | None = None) -> None:
        super().__init__(config)
        self._scraped = scraped
        self._address_check: asyncio.Task[None] | None = None
        self.is_address_refused = False
        """Whether the process stops because the database refused its address."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen; check the database's address meanwhile."""
        try:
            await super().startup(sockets)
        except SystemExit as end:
            # uvicorn has logged the cause, but not which address and setting it concerns.
            if isinstance(end.__context__, OSError):
                log.error("web_not_started", reason=self._not_listening)  # noqa: TRY400 - see above
            raise
        if not self.started:
            return
        self._address_check = asyncio.create_task(self._check_address())
        if self._scraped is not None:
            await self._listen_to_scrapers(self._scraped, sockets)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take no more connections, and stop once the requests that are here are answered."""
        web: Web = self.lifespan.state["web"]
        web.intake.shorten_deadline(REFUSE_AFTER_S)
        limits: ConnectionLimits = self.lifespan.state["limits"]
        asyncio.get_running_loop().call_later(REFUSE_AFTER_S, limits.refuse_arriving, "stopping")
        if self._address_check:
            self._address_check.cancel()
        await super().shutdown(sockets)

    @property
    def _not_listening(self) -> str:
        hosts = ", ".join(self.config.host)
        return (
            f"can't listen on {hosts}, port {self.config.port}: COINFLEET_HOST must name addresses"
            " of this machine, with commas between them, and no other process may listen at PORT"
        )

    async def _check_address(self) -> None:
        """Stop the process if the database refuses the address for good."""
        web: Web = self.lifespan.state["web"]
        try:
            await check_login(WEB, url=web.database_url, within_s=STATEMENT_TIMEOUT_S)
        except DatabaseRefused as error:
            log.error("web_not_started", reason=str(error))  # noqa: TRY400 - the line says it all
            self.is_address_refused = self.should_exit = True
        # What passes by waiting; the next report that is made says that it is over.
        except Exception as error:  # noqa: BLE001
            web.outage.begin(REPORTING, reason=describe(error))

    async def _listen_to_scrapers(
        self, scraped: uvicorn.Config, sockets: list[socket] | None
    ) -> None:
        scraped.load()

        def connect() -> asyncio.Protocol:
            return BoundedConnection(
                config=scraped, server_state=self.server_state, app_state=self.lifespan.state
            )

        try:
            self.servers.append(
                await asyncio.get_running_loop().create_server(connect, scraped.host, scraped.port)
            )
        except OSError as error:
            log.error("metrics_port_refused", port=scraped.port, reason=str(error))  # noqa: TRY400
            await self.shutdown(sockets)
            sys.exit(STARTUP_FAILURE)


def make_server(
    settings: Settings, *, connections_max: int = CONNECTIONS_MAX, backlog: int = BACKLOG_MAX
) -> Server:
    """Return the application behind its server, which listens once it is run."""
    count_instead_of_logging()

    def config(application: Router, port: int) -> uvicorn.Config:
        return uvicorn.Config(
            application,
            # uvicorn hands several on to the loop as they are.
            host=settings.hosts,  # type: ignore[arg-type]
            port=port,
            loop="uvloop",
            http=BoundedConnection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=DRAIN_TIMEOUT_S,
            backlog=backlog,
        )

    scraped = None
    if settings.metrics_port:
        scraped = config(make_router(scrapers=True, others=False), settings.metrics_port)
    return Server(
        config(make_app(settings, connections_max=connections_max), settings.port), scraped=scraped
    )
