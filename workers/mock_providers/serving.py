"""An HTTP server on an event loop that has other work, for what a provider answers."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.applications import Starlette


class QuietServer(uvicorn.Server):
    """A server that leaves the signals of its process alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(
    app: Starlette, *, port: int = 0, dates_answers: bool = True
) -> AsyncIterator[str]:
    """Serve the application on this event loop, at any port or this; gives its base address.

    With `dates_answers` each answer has the time of this machine.
    """
    listening = socket.create_server(("127.0.0.1", port))
    server = QuietServer(
        uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
            date_header=dates_answers,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task
        listening.close()
