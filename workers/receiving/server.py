"""The server of `web`: where it listens, how large its requests may be, and how it stops."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import structlog

from db.errors import describe
from workers.processes import WEB
from workers.receiving.answers import NOT_STORED
from workers.receiving.application import STATEMENT_TIMEOUT_S, make_app
from workers.receiving.receiver import BODY_BYTES_MAX
from workers.receiving.reporter import REPORTING
from workers.receiving.routes import make_router
from workers.serving import server
from workers.serving.connection import BoundedConnection
from workers.serving.descriptors import BACKLOG_MAX
from workers.serving.limits import CONNECTIONS_MAX
from workers.serving.protocol import count_instead_of_logging

if TYPE_CHECKING:
    from socket import socket

    import uvicorn
    from starlette.routing import Router

    from workers.receiving.web import Web
    from workers.serving.limits import ConnectionLimits
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


class WebConnection(BoundedConnection):
    """A connection of a provider, of a client of the app, or of a scraper."""

    body_bytes_max = BODY_BYTES_MAX
    not_served = NOT_STORED


class Server(server.Server):
    """uvicorn, which was the fastest of three ASGI servers here; stops without cutting off.

    `scraped` is a second application at a port of its own, with the state of the first.
    """

    process = WEB
    not_started = "web_not_started"
    settings_of_address = ("COINFLEET_HOST", "PORT")
    check_timeout_s = STATEMENT_TIMEOUT_S

    def __init__(
        self, config: uvicorn.Config, settings: Settings, *, scraped: uvicorn.Config | None = None
    ) -> None:
        super().__init__(config, settings)
        self._scraped = scraped

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen to senders and to scrapers."""
        await super().startup(sockets)
        if self.started and self._scraped is not None:
            await self._listen_to_scrapers(self._scraped, sockets)

    def begin_to_stop(self) -> None:
        """Soon refuse what is not stored and what has not come whole."""
        web: Web = self.lifespan.state["web"]
        web.intake.shorten_deadline(REFUSE_AFTER_S)
        limits: ConnectionLimits = self.lifespan.state["limits"]
        asyncio.get_running_loop().call_later(REFUSE_AFTER_S, limits.refuse_arriving, "stopping")

    def note_unreachable(self, error: Exception) -> None:
        """Begin the outage; the next report that is made says that it is over."""
        web: Web = self.lifespan.state["web"]
        web.outage.begin(REPORTING, reason=describe(error))

    async def _listen_to_scrapers(
        self, scraped: uvicorn.Config, sockets: list[socket] | None
    ) -> None:
        scraped.load()

        def connect() -> asyncio.Protocol:
            return WebConnection(
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

    def configure(application: Router, port: int) -> uvicorn.Config:
        return server.configure(
            application,
            WebConnection,
            hosts=settings.hosts,
            port=port,
            keep_alive_s=KEEP_ALIVE_S,
            drain_timeout_s=DRAIN_TIMEOUT_S,
            backlog=backlog,
        )

    scraped = None
    if settings.metrics_port:
        scraped = configure(make_router(scrapers=True, others=False), settings.metrics_port)
    app = make_app(settings, connections_max=connections_max)
    return Server(configure(app, settings.port), settings, scraped=scraped)
