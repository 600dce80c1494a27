"""What a request may contain besides its body: fields, chunks, trailers, a wish to upgrade."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.conditions import DEADLINE_S
from tests.workers.receiving.serving import Web, a_purchase, inbox, serving
from tests.workers.serving.listening import until
from workers.receiving.receiver import BODY_BYTES_MAX
from workers.serving import connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Database
    from workers.cli.simulate.events import Webhook

CHUNKED = b"POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n"
GET_CHUNKED = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
POST_HEAD = b"POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n"


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    async with serving(database.url("web"), redis_url) as web:
        yield web


@asynccontextmanager
async def peer(web: Web) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def sent_until_cut_off(web: Web, beginning: bytes, piece: bytes) -> int:
    """Return how many bytes the server accepts until it closes the connection."""
    sent = 0
    async with asyncio.timeout(DEADLINE_S), peer(web) as (_, writer):
        writer.write(beginning)
        try:
            while True:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        except ConnectionError:
            return sent


def signed(webhook: Webhook) -> bytes:
    """The signature as a line of headers."""
    return "".join(f"{name}: {value}\r\n" for name, value in webhook.headers.items()).encode()


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (CHUNKED + b"\r\n1\r\na\r\n0\r\n", b"x: y\r\n" * 2_000),
        (CHUNKED + b"\r\n0\r\n", b"x: y\r\n" * 2_000),
        (CHUNKED + b"\r\n1\r\na\r\n0\r\nx: ", b"y" * 12_000),
        (CHUNKED + b"\r\n1\r\na\r\n0\r\n", b"y" * 12_000),
        (CHUNKED + b"\r\n1;", b"y" * 12_000),
        (CHUNKED + b"\r\n", b"1\r\na\r\n" * 2_000),
        (CHUNKED + b"\r\n", b"1;" + b"y" * 12_000 + b"\r\na\r\n"),
        (CHUNKED + b"\r\n", b"0" * 12_000),
        (GET_CHUNKED, b"1000\r\n" + b"a" * 4096 + b"\r\n"),
        (GET_CHUNKED.replace(b"GET /healthz", b"POST /no"), b"1000\r\n" + b"a" * 4096 + b"\r\n"),
        (b"GET /healthz HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n", b"a" * 12_000),
    ],
    ids=lambda value: repr(bytes(value[-24:])) if isinstance(value, bytes) else None,
)
async def test_what_is_not_body_is_bounded(web: Web, beginning: bytes, piece: bytes) -> None:
    await sent_until_cut_off(web, beginning, piece)
    assert web.limits.held_bytes <= 2 * BODY_BYTES_MAX
    await until(lambda: web.limits.held_bytes == 0)


@pytest.mark.parametrize(
    "beginning", [CHUNKED + b"\r\n", GET_CHUNKED], ids=["read", "answered before"]
)
@pytest.mark.parametrize("size", [1, 3])
async def test_of_very_small_chunks_a_bounded_number_is_read(
    web: Web, monkeypatch: pytest.MonkeyPatch, size: int, beginning: bytes
) -> None:
    parts = 0

    def counted(self: Any, body: bytes) -> None:
        nonlocal parts
        parts += 1
        on_body(self, body)

    on_body = connection.BoundedConnection.on_body
    monkeypatch.setattr("workers.serving.connection.BoundedConnection.on_body", counted)
    async with peer(web) as (reader, writer):
        writer.write(beginning)
        if beginning is GET_CHUNKED:
            await reader.readuntil(b"\r\n")
        writer.write(b"%x\r\n%s\r\n" % (size, b"a" * size) * 40_000)
        await until(lambda: parts > connection.CHUNKS_MAX)
        await until(lambda: not web.server.server_state.connections)
    assert parts < 2 * connection.CHUNKS_MAX
    assert 'cause="badly_framed"} 1.0' in (await web.client.get("/metrics")).text


async def test_of_trailers_after_the_answer_a_bounded_number_is_read(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = 0

    def counted(self: Any, name: bytes, value: bytes) -> None:
        nonlocal fields
        fields += 1
        on_header(self, name, value)

    on_header = connection.BoundedConnection.on_header
    monkeypatch.setattr("workers.serving.connection.BoundedConnection.on_header", counted)
    await sent_until_cut_off(web, GET_CHUNKED + b"0\r\n", b"x:\r\n" * 1_000)
    # What one reading may bring, besides the bound.
    assert fields * len(b"x:\r\n") < connection.FRAMING_BYTES_MAX + 512 * 1024
    assert 'cause="badly_framed"} 1.0' in (await web.client.get("/metrics")).text


async def test_fields_after_a_body_are_not_kept(web: Web) -> None:
    async with peer(web) as (_, writer):
        writer.write(CHUNKED + b"\r\n1\r\na\r\n0\r\n" + b"x: y\r\n" * 5_000)
        connections: set[Any] = web.server.server_state.connections
        await until(lambda: any(one.cycle for one in connections))
        [one] = connections
        assert len(one.headers) == 2


async def test_a_signature_after_the_body_does_not_count(web: Web, db: Connection) -> None:
    webhook = a_purchase()
    body = b"%x\r\n%s\r\n0\r\n" % (len(webhook.body), webhook.body)
    head = CHUNKED + b"connection: close\r\n\r\n"
    assert b"not_authentic" in await web.send(head + body + signed(webhook) + b"\r\n")
    assert await inbox(db) == []


@pytest.mark.long_but_first
@pytest.mark.parametrize("chunk", [1, 10, 64, 4096, 1_000_000])
async def test_a_webhook_in_chunks_of_any_size_is_stored(
    web: Web, db: Connection, chunk: int
) -> None:
    webhook = a_purchase()
    body = webhook.body
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part) for part in parts)
    head = CHUNKED + signed(webhook) + b"connection: close\r\n\r\n"
    assert b"stored" in await web.send(head + chunks + b"0\r\nchecksum: none\r\n\r\n")
    assert len(await inbox(db)) == 1


async def test_a_large_body_in_small_chunks_is_read_to_its_end(web: Web) -> None:
    chunks = b"a\r\n0123456789\r\n" * (BODY_BYTES_MAX // 10)
    head = CHUNKED + b"connection: close\r\n\r\n"
    assert b"not_authentic" in await web.send(head + chunks + b"0\r\n\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        b"a:b\r\n" * (connection.HEAD_FIELDS_MAX + 1),
        b"a:\r\n" * 12_500,
        b"a: " + b"b" * connection.HEAD_BYTES_MAX + b"\r\n",
        b"a" * connection.HEAD_BYTES_MAX + b": b\r\n",
        b"".join(b"%d: %s\r\n" % (n, b"b" * 1_000) for n in range(66)),
    ],
    ids=["one too many", "thousands", "a long value", "a long name", "long together"],
)
async def test_headers_are_bounded_also_when_they_come_in_one_piece(
    web: Web, fields: bytes
) -> None:
    assert b" 400 " in await web.send(POST_HEAD + fields + b"\r\n")
    assert b" 400 " in await web.send(b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\n\r\n")
    assert 'cause="head_too_large"' in (await web.client.get("/metrics")).text


async def test_as_many_fields_as_a_chain_of_proxies_adds_are_accepted(
    web: Web, db: Connection
) -> None:
    webhook = a_purchase()
    head = b"POST /webhooks/stripe HTTP/1.1\r\ncontent-length: %d\r\n" % len(webhook.body)
    added = b"".join(b"x-proxy-%d: %s\r\n" % (n, b"v" * 500) for n in range(100))
    head += signed(webhook) + added + b"connection: close\r\n\r\n"
    assert b"stored" in await web.send(head + webhook.body)
    assert len(await inbox(db)) == 1


async def test_headers_in_one_piece_count_towards_the_held_bytes(web: Web) -> None:
    async with peer(web) as (_, writer):
        writer.write(POST_HEAD + b"x: " + b"y" * 50_000 + b"\r\n\r\n")
        await until(lambda: web.limits.held_bytes > 50_000)
        assert web.limits.held_bytes < 60_000
        writer.write(b"0123456789")
        await until(lambda: web.limits.held_bytes == 0)


@pytest.mark.long_but_first
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0", b"foo/2, h2c"])
@pytest.mark.parametrize("pieces", ["one", "two", "bytes"])
async def test_a_webhook_that_asks_for_another_protocol_is_stored(
    web: Web, db: Connection, protocol: bytes, pieces: str
) -> None:
    webhook = a_purchase()
    head = b"POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n" % len(
        webhook.body
    )
    head += b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\n" % protocol
    head += b"HTTP2-Settings: AAEAAEAA\r\n" + signed(webhook) + b"\r\n"
    request = head + webhook.body
    slices = {
        "one": [request],
        "two": [head, webhook.body],
        "bytes": [request[at : at + 1] for at in range(len(request))],
    }[pieces]
    async with asyncio.timeout(DEADLINE_S), peer(web) as (reader, writer):
        for piece in slices:
            writer.write(piece)
            await asyncio.sleep(0)
        assert b"stored" in await reader.readuntil(b"}")
        writer.write(request.replace(b"Upgrade, HTTP2-Settings", b"Upgrade, close"))
        answer = await reader.read()  # until it closes, as it was asked to
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"seen" in answer
    assert len(await inbox(db)) == 1
