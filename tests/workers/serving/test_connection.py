"""What a connection may cost: how long its headers may take and how large they may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.conditions import DEADLINE_S
from tests.workers.receiving.serving import Web, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.clusters import Database

HEALTHY = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.serving.connection.HEAD_TIMEOUT_S", 0.2)


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    async with serving(database.url("web"), redis_url) as web:
        yield web


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST /webhooks/stripe HT", b"POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\n"],
)
async def test_a_connection_whose_headers_never_end_is_closed(web: Web, beginning: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(beginning)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("beginning", [b"\r\n", b"GET /healthz HT"])
async def test_a_second_request_must_begin_in_time_too(web: Web, beginning: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(HEALTHY)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
    writer.write(beginning)
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read() == b""
    writer.close()


async def test_headers_without_end_are_refused(web: Web) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", web.port)

    async def send_for_ever() -> None:
        writer.write(HEALTHY[:-2])
        # The sockets' own buffers hold far less.
        for _ in range(8_000):
            writer.write(b"x: " + b"y" * 8_000 + b"\r\n")
            await writer.drain()

    with pytest.raises(ConnectionError):
        await send_for_ever()
    assert (await web.client.get("/healthz")).is_success
