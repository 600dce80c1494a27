"""web: takes in webhooks, and says whether this process can (`python -m workers.webhooks`).

No business logic and no call to a provider: it verifies, stores, acknowledges and rings.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import redis.asyncio
import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from db.errors import describe
from db.inbox import Stored, store_arrivals
from db.pool import answered, open_pool
from db.readiness import Readiness, ask_readiness
from tasks.providers import app, stripe
from workers.connection import BoundedConnection
from workers.doorbell import Doorbell
from workers.intake import Intake
from workers.logs import configure_logging
from workers.metrics import Metrics
from workers.receiver import Receiver, WebhookEndpoint
from workers.refusals import Refusals
from workers.settings import load_settings
from workers.termination import Termination
from workers.web_reporter import WebReporter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from socket import socket

    from starlette.requests import Request

    from db.inbox import Arrival
    from db.pool import Pool
    from workers.settings import Settings

log = structlog.get_logger(__name__)

# Two store, one answers probes, one scrapes, one to spare for a store that was given up.
CONNECTIONS_MAX = 5
# No sender waits for longer; a connection that a failover left dangling is soon dropped.
STATEMENT_MAX_S = 5.0
PROBE_TIMEOUT_S = 2.0
# Requests in flight get so long to end before they are cancelled; whoever would still wait for the
# database is told to send again before that.
DRAIN_S = 3
REFUSE_S = 2.0
# With a database and a queue that are both frozen, ending can't be clean; a supervisor waits 5 s.
STOP_DEADLINE_S = 4.5
# Providers keep connections open between deliveries; opening one costs more than keeping it.
KEEP_ALIVE_S = 75
# Each may hold a body of 256 KiB; a provider opens a few dozen.
CONCURRENCY_MAX = 5_000


async def healthz(_request: Request) -> Response:
    """Say that the process lives."""
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Say whether a webhook would be stored, and why not; without the queue it still would."""
    web: Web = request.state.web
    database, queue = await asyncio.gather(_probe_database(web.pool), _probe_queue(web.queue))
    is_ready = database is Readiness.CURRENT
    return JSONResponse(
        {"ready": is_ready, "database": database, "queue": queue},
        status_code=200 if is_ready else 503,
    )


async def metrics(request: Request) -> Response:
    """Give Prometheus what it scrapes."""
    web: Web = request.state.web
    return Response(await web.metrics.render(), media_type=CONTENT_TYPE_LATEST)


ROUTES = (
    Route("/webhooks/{provider}", WebhookEndpoint(), methods=["POST"]),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/metrics", metrics),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """What the routes need, open for as long as the application runs."""

    pool: Pool
    queue: redis.asyncio.Redis
    metrics: Metrics
    intake: Intake
    receiver: Receiver


def make_app(settings: Settings) -> Router:
    """Put the application together; it opens its pool and clients when the server starts it.

    A router and no Starlette around it, whose middleware would take a sixth of a webhook's time:
    what no route expects is uvicorn's to log and answer.
    """

    @asynccontextmanager
    async def lifespan(_running: Router) -> AsyncIterator[dict[str, Any]]:
        async with _opened(settings) as web:
            yield {"web": web, "receiver": web.receiver}

    # A redirected POST is a lost one.
    return Router(ROUTES, lifespan=lifespan, redirect_slashes=False)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Web]:
    """Open what requests touch; close it in reverse once the last of them was answered.

    Neither the database nor the queue need be there yet: /readyz says so, and senders hear 503.
    """
    async with AsyncExitStack() as closing:
        pool = await open_pool(
            settings.url_for("web"),
            application_name="coinfleet web",
            min_size=0,
            max_size=CONNECTIONS_MAX,
            command_timeout_s=STATEMENT_MAX_S,
        )
        closing.callback(pool.terminate)
        queue = _queue_client(settings)
        closing.push_async_callback(queue.aclose)
        doorbell = Doorbell(settings)
        closing.push_async_callback(asyncio.to_thread, doorbell.close)
        metrics = Metrics(pool)

        def note_batch(batch: Sequence[Stored], *, seconds: float) -> None:
            metrics.note_batch(batch, seconds=seconds)
            if Stored.STORED in batch:
                doorbell.ring()

        refusals = Refusals()
        reporter = WebReporter(
            pool,
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
            pool=pool,
            queue=queue,
            metrics=metrics,
            intake=intake,
            receiver=Receiver(
                secrets={
                    stripe.PROVIDER: settings.stripe_webhook_secrets,
                    app.PROVIDER: settings.app_webhook_secrets,
                },
                intake=intake,
                note_received=metrics.note_received,
                refusals=refusals,
            ),
        )


def _queue_client(settings: Settings) -> redis.asyncio.Redis:
    assert settings.redis_url is not None  # noqa: S101 - load_settings("web") asks for it
    return redis.asyncio.Redis.from_url(
        settings.redis_url,
        socket_timeout=PROBE_TIMEOUT_S,
        socket_connect_timeout=PROBE_TIMEOUT_S,
        # A probe says how it is now.
        retry=Retry(NoBackoff(), 0),
    )


async def _probe_database(pool: Pool) -> Readiness | Literal["unreachable"]:
    try:
        return await answered(pool, ask_readiness(pool), within_s=PROBE_TIMEOUT_S)
    # Whatever it is, nothing can be stored; the address or the password may be wrong, too.
    except Exception as error:  # noqa: BLE001
        log.warning("database_unreachable", error=describe(error))
        return "unreachable"


async def _probe_queue(queue: redis.asyncio.Redis) -> Literal["reachable", "unreachable"]:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await queue.ping()
    except (RedisError, OSError):  # TimeoutError is an OSError
        return "unreachable"
    return "reachable"


class Server(uvicorn.Server):
    """uvicorn, which was the fastest of three ASGI servers here, and ends without cutting off."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Take no more connections, and end with the requests that are there."""
        web: Web = self.lifespan.state["web"]
        web.intake.hurry(REFUSE_S)
        await super().shutdown(sockets)


def make_server(settings: Settings) -> Server:
    """Put the application behind its server."""
    return Server(
        uvicorn.Config(
            make_app(settings),
            host=settings.coinfleet_host,
            port=settings.port,
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
            limit_concurrency=CONCURRENCY_MAX,
        ),
    )


def main() -> None:
    """Serve until told to end."""
    termination = Termination(deadline_s=STOP_DEADLINE_S)
    settings = load_settings("web")
    configure_logging(settings.log_format)
    server = make_server(settings)

    def stop() -> None:
        server.should_exit = True

    termination.when_requested(stop)
    log.info("web_starting", host=settings.coinfleet_host, port=settings.port)
    server.run()
    log.info("web_stopped")


if __name__ == "__main__":
    main()
