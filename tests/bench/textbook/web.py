"""The textbook's receiver (`python -m tests.bench.textbook.web`): verify, insert, send, answer."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.connections.pool import open_pool
from tasks.providers.signed import NotAuthentic
from tests.bench.textbook.money import store
from tests.bench.textbook.worker import make_actor
from workers.processes import WEB
from workers.providers import build_providers
from workers.receiving.server import make_server
from workers.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from workers.settings import Settings

CONNECTIONS = 16


def make_app(settings: Settings) -> Starlette:
    """One route; a message is sent once its event is committed."""
    _, process_event = make_actor(settings)
    providers = build_providers(settings)

    async def receive(request: Request) -> Response:
        provider = request.path_params["provider"]
        body = await request.body()
        try:
            headers = dict(request.headers.raw)
            arrival = providers[provider].verify(body, headers, now_s=time.time())
        except NotAuthentic:
            return JSONResponse({"result": "not_authentic"}, status_code=400)
        event_id = await store(request.app.state.pool, arrival)
        if event_id is not None:
            # Dramatiq's client blocks.
            await run_in_threadpool(process_event.send, event_id)
        return JSONResponse({"result": "stored"})

    @asynccontextmanager
    async def lifespan(running: Starlette) -> AsyncIterator[None]:
        running.state.pool = await open_pool(
            settings.url_for(WEB),
            application_name="bench textbook web",
            max_size=CONNECTIONS,
        )
        yield
        running.state.pool.terminate()

    routes = [Route("/webhooks/{provider}", receive, methods=["POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings(WEB)
    config = make_server(settings).config
    config.app = make_app(settings)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
