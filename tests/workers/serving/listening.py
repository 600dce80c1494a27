"""A server of ours in the test's own loop, on a free port."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, socket
from typing import TYPE_CHECKING, Any

from tests.conditions import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from workers.serving.server import Server


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[int]:
    """Serve, and stop at the end; yield the port."""
    # Only with the protocol named does asyncio turn off Nagle's algorithm.
    with socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started or task.done())
            yield port
        finally:
            server.should_exit = True
            await task


async def until(holds: Callable[[], Any]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - what happens elsewhere sets no event here
            await asyncio.sleep(0.01)


async def exchange(port: int, request: bytes) -> bytes:
    """Send raw bytes, and read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await reader.read()
    finally:
        writer.close()
