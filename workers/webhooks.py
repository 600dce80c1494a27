"""web: takes in webhooks, and says whether this process can (`python -m workers.webhooks`).

No business logic and no call to a provider: it verifies, stores, acknowledges and rings.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from db.connections.pool import open_pool
from db.connections.roles import greet_as
from db.errors import DatabaseRefused, describe
from db.inbox import Stored, store_arrivals
from tasks.providers import PROVIDERS
from workers.logs import configure_logging
from workers.providers import build_providers
from workers.queue.doorbell import Doorbell
from workers.receiving.connection import BoundedConnection, count_instead_of_logging
from workers.receiving.connection_limits import (
    BACKLOG_MAX,
    CONNECTIONS_MAX,
    ConnectionLimits,
    plan_connections,
)
from workers.receiving.intake import Intake
from workers.receiving.metrics import Metrics
from workers.receiving.probes import Probes, queue_client
from workers.receiving.receiver import Receiver, WebhookEndpoint
from workers.receiving.refusals import Refusals
from workers.receiving.reporter import WebReporter
from workers.receiving.verification import Verification
from workers.settings import load_settings
from workers.termination import Termination

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from socket import socket

    from starlette.requests import Request

    from db.connections.pool import Pool
    from db.inbox import Arrival
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# Two store, one is to spare for a store that was given up.
STORING_MAX = 3
# One answers probes, one scrapes or reports: none of them takes one that stores.
ASKING_MAX = 2
# No sender waits for longer; a connection that a failover left dangling is soon dropped.
STATEMENT_MAX_S = 5.0
# Requests in flight get so long to end before they are cancelled; whoever would still wait for the
# database, or has not sent all of a request, is told to send again before that.
DRAIN_S = 3
REFUSE_S = 2.0
# With a database and a queue that are both frozen, ending can't be clean; a supervisor waits 5 s.
STOP_DEADLINE_S = 4.5
# Providers keep connections open between deliveries; opening one costs more than keeping it.
KEEP_ALIVE_S = 75
# uvicorn's own, for a port that is taken.
STARTUP_FAILURE = 3


LANDING = f"""coinfleet takes in payment events for a ledger of coins.

Webhooks   POST {", POST ".join(f"/webhooks/{provider.name}" for provider in PROVIDERS)}
Probes     GET /healthz (it lives), GET /readyz (it can store)
"""


async def landing(_request: Request) -> Response:
    """Say what answers here, to whoever opens the address."""
    return PlainTextResponse(LANDING)


async def healthz(_request: Request) -> Response:
    """Say that the process lives."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Say whether a webhook would be stored, and why not; without the queue it still would."""
    web: Web = request.state.web
    found = await web.probes.find()
    return JSONResponse(
        {"ready": found.is_ready, "database": found.database, "queue": found.queue},
        status_code=200 if found.is_ready else 503,
    )


async def metrics(request: Request) -> Response:
    """Give Prometheus what it scrapes."""
    web: Web = request.state.web
    return Response(await web.metrics.render(), media_type=CONTENT_TYPE_LATEST)


ROUTES = (
    Route("/", landing),
    Route("/webhooks/{provider}", WebhookEndpoint(), methods=["POST"]),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
)
METRICS_ROUTE = Route("/metrics", metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What the routes need, open for as long as the application runs."""

    database_url: str = field(repr=False)
    probes: Probes
    metrics: Metrics
    intake: Intake
    receiver: Receiver


def make_app(settings: Settings, *, connections_max: int = CONNECTIONS_MAX) -> Router:
    """Put the application together; it opens its pools and clients when the server starts it.

    A router and no Starlette around it, whose middleware would take a sixth of a webhook's time:
    what no route expects is uvicorn's to log and answer.
    """

    @asynccontextmanager
    async def lifespan(_running: Router) -> AsyncIterator[dict[str, Any]]:
        async with _opened(settings) as web:
            limits = ConnectionLimits(
                note_refused=web.metrics.note_refused, connections_max=connections_max
            )
            web.metrics.watch_connections(limits)
            yield {"web": web, "receiver": web.receiver, "limits": limits}

    # A redirected POST is a lost one.
    routes = ROUTES if settings.metrics_port else (*ROUTES, METRICS_ROUTE)
    return Router(routes, lifespan=lifespan, redirect_slashes=False)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Web]:
    """Open what requests touch; close it in reverse once the last of them was answered.

    Neither the database nor the queue need be there yet: /readyz says so, and senders hear 503.
    """
    async with AsyncExitStack() as closing:
        url = settings.url_for("web")
        pool = await _open_pool(url, STORING_MAX)
        closing.callback(pool.terminate)
        asking = await _open_pool(url, ASKING_MAX, shares_with=pool)
        closing.callback(asking.terminate)
        queue = queue_client(settings)
        closing.push_async_callback(queue.aclose)
        doorbell = Doorbell(settings)
        closing.push_async_callback(asyncio.to_thread, doorbell.close)
        metrics = Metrics(asking)

        def note_batch(batch: Sequence[Stored], *, seconds: float) -> None:
            metrics.note_batch(batch, seconds=seconds)
            if Stored.STORED in batch:
                doorbell.ring()

        refusals = Refusals()
        verification = Verification()
        closing.callback(verification.close)
        reporter = WebReporter(
            asking,
            port=settings.port,
            refusals=refusals,
            note_clock_ahead=metrics.note_clock_ahead,
        )

        async def store(arrivals: Sequence[Arrival]) -> Sequence[Stored]:
            return await reporter.watch(store_arrivals(pool, arrivals))

        intake = Intake(store, on_stored=note_batch)
        metrics.watch_waiting(lambda: intake.waiting)
        intake.start()
        closing.push_async_callback(intake.close)
        reporter.start()
        closing.push_async_callback(reporter.close)
        yield Web(
            database_url=url,
            probes=Probes(asking, queue, is_in_doubt=lambda: intake.is_away or reporter.is_unheard),
            metrics=metrics,
            intake=intake,
            receiver=Receiver(
                providers=build_providers(settings),
                verification=verification,
                intake=intake,
                note_received=metrics.note_received,
                refusals=refusals,
            ),
        )


async def _open_pool(url: str, max_size: int, *, shares_with: Pool | None = None) -> Pool:
    return await open_pool(
        url,
        application_name="coinfleet web",
        min_size=0,
        max_size=max_size,
        shares_with=shares_with,
        command_timeout_s=STATEMENT_MAX_S,
    )


class Server(uvicorn.Server):
    """uvicorn, which was the fastest of three ASGI servers here, and ends without cutting off."""

    def __init__(self, config: uvicorn.Config, *, scraped: uvicorn.Config | None = None) -> None:
        super().__init__(config)
        self._scraped = scraped
        self._greeting: asyncio.Task[None] | None = None
        # Whether the process ends because the database can't be used as it is addressed.
        self.refused = False

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen, for scrapers at a port of their own if there is one.

        Meanwhile it is found out whether the database's address is of use.
        """
        try:
            await super().startup(sockets)
        except SystemExit as end:
            # uvicorn has told the cause, but not which address and setting it concerns.
            if isinstance(end.__context__, OSError):
                log.error("web_not_started", reason=self._unheard)  # noqa: TRY400 - told above
            raise
        if not self.started:
            return
        self._greeting = asyncio.create_task(self._greet())
        if self._scraped is not None:
            await self._listen_to_scrapers(self._scraped, sockets)

    @property
    def _unheard(self) -> str:
        hosts = ", ".join(self.config.host)
        return (
            f"can't listen on {hosts}, port {self.config.port}: COINFLEET_HOST names addresses of "
            "this machine with commas between them, and at PORT nobody else may listen"
        )

    async def _greet(self) -> None:
        web: Web = self.lifespan.state["web"]
        try:
            await greet_as("web", url=web.database_url, within_s=STATEMENT_MAX_S)
        except DatabaseRefused as error:
            log.error("web_not_started", reason=str(error))  # noqa: TRY400 - the line says it all
            self.refused = self.should_exit = True
        # What passes by waiting is told by /readyz, and by each webhook that isn't stored.
        except Exception as error:  # noqa: BLE001
            log.warning("store_away", reason=describe(error))

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

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take no more connections, and end with the requests that are there."""
        web: Web = self.lifespan.state["web"]
        web.intake.hurry(REFUSE_S)
        limits: ConnectionLimits = self.lifespan.state["limits"]
        asyncio.get_running_loop().call_later(REFUSE_S, limits.refuse_arriving, "stopping")
        if self._greeting:
            self._greeting.cancel()
        await super().shutdown(sockets)


def make_server(
    settings: Settings, *, connections_max: int = CONNECTIONS_MAX, backlog: int = BACKLOG_MAX
) -> Server:
    """Put the application behind its server."""
    count_instead_of_logging()

    def config(application: Router, port: int) -> uvicorn.Config:
        return uvicorn.Config(
            application,
            # Several are handed on to the loop as they are.
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
            timeout_graceful_shutdown=DRAIN_S,
            backlog=backlog,
        )

    scraped = None
    if settings.metrics_port:
        scraped = config(Router((METRICS_ROUTE,), redirect_slashes=False), settings.metrics_port)
    return Server(
        config(make_app(settings, connections_max=connections_max), settings.port), scraped=scraped
    )


def main() -> None:
    """Serve until told to end."""
    termination = Termination(deadline_s=STOP_DEADLINE_S)
    settings = load_settings("web")
    configure_logging(settings.log_format)
    connections_max, backlog = plan_connections()
    server = make_server(settings, connections_max=connections_max, backlog=backlog)

    def stop() -> None:
        server.should_exit = True

    termination.when_requested(stop)
    log.info("web_starting", host=settings.coinfleet_host, port=settings.port)
    server.run()
    log.info("web_stopped")
    sys.exit(server.refused)


if __name__ == "__main__":
    main()
