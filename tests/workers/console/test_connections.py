"""Connections of the console: what a stranger may cost, and that people get in meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.conditions import DEADLINE_S
from tests.workers.console.site import FROM_HERE, LINK_SECRET
from tests.workers.serving.listening import exchange, listening
from workers.console.guard import BODY_BYTES_MAX, FORM
from workers.console.server import make_server
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.clusters import Database

CONNECTIONS_MAX = 4
HEALTHY = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
CLOSING = HEALTHY[:-2] + b"connection: close\r\n\r\n"


@pytest_asyncio.fixture(scope="module")
async def port(console_database: Database) -> AsyncIterator[int]:
    """The port of a console that has few connections."""
    settings = Settings(
        console_database_url=console_database.url("console"), console_link_secret=LINK_SECRET
    )
    async with listening(make_server(settings, connections_max=CONNECTIONS_MAX)) as port:
        yield port


def form(body: bytes, *, length: int | None = None) -> bytes:
    """A form of our own page."""
    length = len(body) if length is None else length
    told = FROM_HERE | {"host": "localhost", "content-type": FORM, "content-length": str(length)}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST /sign-in HTTP/1.1\r\n{head}\r\n".encode() + body


@pytest.mark.parametrize("beginning", [b"", b"GET /sign-in HT", HEALTHY[:-2]])
async def test_a_request_that_does_not_end_is_closed(
    port: int, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr("workers.serving.connection.HEAD_TIMEOUT_S", 0.1)
    assert await exchange(port, beginning) == b""


async def test_a_form_that_does_not_come_whole_is_refused(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.serving.body.BODY_TIMEOUT_S", 0.1)
    answer = await exchange(port, form(b"email=", length=100))
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_form_that_is_too_large_is_refused_and_its_sender_reads_that(port: int) -> None:
    answer = await exchange(port, form(b"x" * (BODY_BYTES_MAX + 1)))
    assert answer.startswith(b"HTTP/1.1 413")


async def test_headers_without_end_are_refused(port: int) -> None:
    answer = await exchange(port, HEALTHY[:-2] + b"cookie: " + b"x" * 70_000)
    assert answer.startswith(b"HTTP/1.1 400")


async def test_strangers_who_hold_connections_keep_nobody_out(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but the want of room closes one here.
    monkeypatch.setattr("workers.serving.connection.HEAD_TIMEOUT_S", 3_600)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * CONNECTIONS_MAX)]
    for _, writer in held:
        writer.write(HEALTHY[:20])
    assert (await exchange(port, CLOSING)).startswith(b"HTTP/1.1 200")
    closed = [reader.read() for reader, _ in held[: 2 * CONNECTIONS_MAX]]
    async with asyncio.timeout(DEADLINE_S):
        ends = await asyncio.gather(*closed, return_exceptions=True)
    # Where the server had not read yet, its end is a reset.
    assert all(each == b"" or isinstance(each, ConnectionError) for each in ends)
    for _, writer in held:
        writer.close()


# Of two messages in one, a proxy before the console might see another number than it does.
@pytest.mark.parametrize(
    "fields",
    [
        b"content-length: 5\r\ncontent-length: 6",
        b"content-length: 5, 6",
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 5",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding : chunked",
        b"transfer-encoding: xchunked",
        b"transfer-encoding:\x0bchunked",
        b"content-length: +5",
        b"content-length: 0x5",
        b"content-length : 5",
        b"a: b\r\n content-length: 5",
        b"a: b\rcontent-length: 5",
        b"a: b\x00c",
        b"a\x00: b",
        b": b",
        b"a b",
    ],
)
async def test_a_request_of_unclear_length_is_refused(port: int, fields: bytes) -> None:
    told = form(b"").partition(b"content-length")[0]
    answer = await exchange(port, told + fields + b"\r\n\r\n" + b"0\r\n\r\n" + CLOSING)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
