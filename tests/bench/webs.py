"""The references of row 1: the web process, which does something else with a verified webhook.

`python -m tests.bench.webs` stores each webhook with a statement of its own. With
BENCH_WITHOUT_DATABASE set it stores nothing and answers at once.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

from db.connections.pool import open_pool
from db.inbox.arrivals import Stored, store_arrivals
from workers.processes import WEB
from workers.providers import build_providers
from workers.receiving.metrics import Metrics
from workers.receiving.receiver import Receiver
from workers.receiving.refusals import Refusals
from workers.receiving.routes import make_router
from workers.receiving.server import make_server
from workers.receiving.verification import Verification
from workers.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.routing import Router

    from db.connections.pool import Pool
    from db.inbox.arrivals import Arrival
    from workers.settings import Settings

# The best number on two cores: with 4 it is slower, with 32 not faster.
CONNECTIONS = 16


class InsertEach:
    """One statement and one commit per arrival, on any of several connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, arrival: Arrival) -> Stored:
        (found,) = await store_arrivals(self._pool, [arrival])
        return found


class StoreNothing:
    """No database: only the server, the request and the signature cost time."""

    async def put(self, _arrival: Arrival) -> Stored:
        return Stored.STORED


def make_app(settings: Settings) -> Router:
    """The routes of web with another intake."""

    @asynccontextmanager
    async def lifespan(_running: Router) -> AsyncIterator[dict[str, Receiver]]:
        pool = await open_pool(
            settings.url_for(WEB),
            application_name="bench insert each",
            min_size=0,
            max_size=CONNECTIONS,
        )
        intake = StoreNothing() if "BENCH_WITHOUT_DATABASE" in os.environ else InsertEach(pool)
        receiver = Receiver(
            providers=build_providers(settings),
            verification=Verification(),
            intake=intake,  # type: ignore[arg-type]
            note_received=Metrics(pool).note_received,
            refusals=Refusals(),
        )
        yield {"receiver": receiver}
        pool.terminate()

    return make_router(scrapers=True, lifespan=lifespan)


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings(WEB)
    config = make_server(settings).config
    config.app = make_app(settings)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
