"""The web application: the routes, and what they use while the process runs.

Opens its pools and clients when the server starts it, and closes them once the last request was
answered. Refuses to wait for the database or the queue: without them it answers, too.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog

from db.connections.pool import open_pool
from db.inbox.arrivals import Stored, store_arrivals
from workers.outage import Outage
from workers.processes import WEB
from workers.providers import build_enabled_providers
from workers.queue.doorbell import Doorbell
from workers.queue.opening import open_probe
from workers.receiving.intake import Intake
from workers.receiving.metrics import Metrics
from workers.receiving.probes import PROBE_TIMEOUT_S, Probes
from workers.receiving.purchases import Submissions
from workers.receiving.receiver import Receiver
from workers.receiving.refusals import Refusals
from workers.receiving.reporter import WebReporter
from workers.receiving.routes import make_router
from workers.receiving.verification import Verification
from workers.receiving.web import Web
from workers.serving.limits import CONNECTIONS_MAX, ConnectionLimits
from workers.sign_in import build_access_tokens
from workers.signals import open_tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.routing import Router

    from db.connections.pool import Pool
    from db.inbox.arrivals import Arrival
    from tasks.providers.provider import Provider
    from tasks.sign_in.tokens import AccessTokens
    from workers.settings import Settings
    from workers.signals.tracing import Tracing

# Two are for the two inserts in flight; one replaces a connection that was given up.
STORE_CONNECTIONS_MAX = 3
# One for probes, one for a scrape or a report: they use none of those that store.
PROBE_CONNECTIONS_MAX = 2
# For senders who ask what became of an event: however many ask, webhooks are stored meanwhile.
STATE_CONNECTIONS_MAX = 1
# No sender waits for longer, and a connection that a failover left without an end is soon dropped.
STATEMENT_TIMEOUT_S = 5.0
WITHOUT_SIGN_IN = (
    "clients that submit purchases are answered 404: set SUPABASE_JWKS_URL or SUPABASE_JWT_SECRET"
)

log = structlog.get_logger(__name__)


def make_app(settings: Settings, *, connections_max: int = CONNECTIONS_MAX) -> Router:
    """Return the application, with `web` and what it uses in the state of each request."""
    tracing = open_tracing(settings, WEB)

    @asynccontextmanager
    async def lifespan(_running: Router) -> AsyncIterator[dict[str, Any]]:
        async with _open_web(settings, tracing) as web:
            limits = ConnectionLimits(
                note_refused=web.metrics.note_refused, connections_max=connections_max
            )
            web.metrics.watch_connections(limits)
            yield {
                "web": web,
                "receiver": web.receiver,
                "submissions": web.submissions,
                "limits": limits,
            }

    return make_router(scrapers=not settings.metrics_port, lifespan=lifespan, tracing=tracing)


@asynccontextmanager
async def _open_web(settings: Settings, tracing: Tracing | None) -> AsyncIterator[Web]:
    """Open what the endpoints use; close it in reverse order.

    The database and the queue may be unreachable: /readyz says so, and senders are told 503.
    """
    async with AsyncExitStack() as closing:
        url = settings.url_for(WEB)
        store_pool = await _open_pool(url, STORE_CONNECTIONS_MAX)
        closing.callback(store_pool.terminate)
        probe_pool = await _open_pool(url, PROBE_CONNECTIONS_MAX, shares_with=store_pool)
        closing.callback(probe_pool.terminate)
        state_pool = await _open_pool(url, STATE_CONNECTIONS_MAX, shares_with=store_pool)
        closing.callback(state_pool.terminate)
        assert settings.queue_url is not None  # noqa: S101 - load_settings asks for it
        queue = open_probe(settings.queue_url, timeout_s=PROBE_TIMEOUT_S)
        closing.push_async_callback(queue.close)
        doorbell = Doorbell(settings)
        closing.push_async_callback(asyncio.to_thread, doorbell.close)
        metrics = Metrics(probe_pool)
        metrics.watch_queue(queue.ask)
        refusals = Refusals()
        providers = build_enabled_providers(settings)
        buying = {name: each for name, each in providers.items() if each.takes_submissions}
        tokens = build_access_tokens(settings)
        if tokens is not None:
            closing.push_async_callback(tokens.close)
        elif buying:
            log.warning("purchases_not_taken", providers=[*buying], then=WITHOUT_SIGN_IN)
        verification = Verification()
        closing.callback(verification.close)
        outage = Outage("database", then="senders get 503 and send again")
        reporter = WebReporter(
            probe_pool,
            port=settings.port,
            refusals=refusals,
            note_clock_ahead=metrics.note_clock_ahead,
            outage=outage,
            providers=[*providers],
            purchases_from=[*buying] if tokens else [],
        )
        mark = tracing.mark if tracing else None
        intake = _make_intake(store_pool, metrics, reporter, doorbell, outage, mark=mark)
        metrics.watch_waiting(lambda: intake.waiting)
        intake.start()
        closing.push_async_callback(intake.close)
        reporter.start()
        closing.push_async_callback(reporter.close)
        receiver = Receiver(
            providers=providers,
            verification=verification,
            intake=intake,
            note_received=metrics.note_received,
            refusals=refusals,
        )
        yield Web(
            state_pool=state_pool,
            probes=Probes(
                probe_pool,
                queue,
                outage=outage,
                is_in_doubt=lambda: intake.is_failing or reporter.is_failing,
                stored_at=lambda: intake.stored_at,
            ),
            metrics=metrics,
            intake=intake,
            outage=outage,
            receiver=receiver,
            submissions=_make_submissions(buying, tokens, receiver, metrics),
        )


def _make_submissions(
    providers: Mapping[str, Provider],
    tokens: AccessTokens | None,
    receiver: Receiver,
    metrics: Metrics,
) -> Submissions | None:
    """Return what takes purchases from clients, by the same intake as webhooks; None without."""
    if tokens is None:
        return None
    return Submissions(
        providers=providers,
        tokens=tokens,
        verification=receiver.verification,
        intake=receiver.intake,
        note_submitted=metrics.note_submitted,
    )


def _make_intake(
    pool: Pool,
    metrics: Metrics,
    reporter: WebReporter,
    doorbell: Doorbell,
    outage: Outage,
    *,
    mark: Callable[[Arrival], Arrival] | None,
) -> Intake:
    """Return the intake whose batches are counted, reported and announced to the workers."""

    async def store(arrivals: Sequence[Arrival]) -> Sequence[Stored]:
        return await reporter.watch(store_arrivals(pool, arrivals))

    def note_batch(batch: Sequence[Stored], *, seconds: float) -> None:
        metrics.note_batch(batch, seconds=seconds)
        if Stored.STORED in batch:
            doorbell.ring()

    return Intake(store, on_stored=note_batch, outage=outage, mark=mark)


async def _open_pool(url: str, max_size: int, *, shares_with: Pool | None = None) -> Pool:
    return await open_pool(
        url,
        application_name=WEB.application_name,
        min_size=0,
        max_size=max_size,
        shares_with=shares_with,
        command_timeout_s=STATEMENT_TIMEOUT_S,
    )
