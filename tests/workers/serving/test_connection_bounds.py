"""What connections may use together: requests that wait, bytes, and connections themselves."""

from __future__ import annotations

import asyncio
import logging
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.conditions import DEADLINE_S
from tests.workers.receiving.serving import Web, a_purchase, inbox, serving
from tests.workers.serving.listening import until
from workers.receiving.probes import Found, Probes
from workers.receiving.receiver import BODY_BYTES_MAX
from workers.serving import connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Database

READY = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n"
HEALTHY = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"


@pytest_asyncio.fixture
async def web(database: Database, redis_url: str) -> AsyncIterator[Web]:
    async with serving(database.url("web"), redis_url) as web:
        yield web


class Peer:
    """One end of a connection to the receiver."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Return all that the server sends until it closes the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    def reset(self) -> None:
        """Close with a reset, as a crashed client does."""
        # The server may have closed by now.
        if not self.writer.is_closing():
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        self.writer.transport.abort()


@asynccontextmanager
async def peer(web: Web) -> AsyncIterator[Peer]:
    """Open a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


async def refused(web: Web) -> dict[str, int]:
    """Return how often each cause was refused that was."""
    lines = (await web.client.get("/metrics")).text.splitlines()
    found = (line for line in lines if line.startswith("coinfleet_requests_refused_total{"))
    counts = {line.split('"')[1]: int(float(line.rpartition(" ")[2])) for line in found}
    return {cause: count for cause, count in counts.items() if count}


def connections(web: Web) -> list[Any]:
    return list(web.server.server_state.connections)


# Requests that don't wait for answers


@pytest.mark.parametrize("number", [2, connection.PIPELINED_MAX + 1])
async def test_a_few_requests_at_once_are_answered_in_order(web: Web, number: int) -> None:
    async with peer(web) as one:
        one.send(b"".join([HEALTHY, *[READY] * (number - 2), HEALTHY.replace(b"healthz", b"no")]))
        async with asyncio.timeout(DEADLINE_S):
            answer = b""
            while answer.count(b"HTTP/1.1 ") < number or not answer.endswith(b"Not Found"):
                answer += await one.reader.read(65_536)
    statuses = [answer[:3] for answer in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200"] * (number - 1) + [b"404"]
    assert await refused(web) == {}


@pytest.mark.long_but_first
@pytest.mark.parametrize("request_", [READY, HEALTHY, POST % 0, POST % 2 + b"{}"])
@pytest.mark.parametrize("number", [10, 20, 5_000])
async def test_of_more_requests_a_bounded_number_is_read_and_then_it_closes(
    web: Web, monkeypatch: pytest.MonkeyPatch, request_: bytes, number: int
) -> None:
    most = 0

    def watched(self: Any, cycle: Any, app: Any) -> None:
        nonlocal most
        most = max(most, len(self.pipeline))
        start(self, cycle, app)

    start = connection.BoundedConnection._start_asgi_task
    monkeypatch.setattr("workers.serving.connection.BoundedConnection._start_asgi_task", watched)
    async with peer(web) as one:
        one.send(request_ * number)
        answers = (await one.rest()).count(b"HTTP/1.1 ")
    # If more is sent than the server reads at once, the kernel's reset may overtake the answers.
    expected = (
        range(connection.PIPELINED_MAX + 2) if number > 20 else [connection.PIPELINED_MAX + 1]
    )
    assert answers in expected
    assert most <= connection.PIPELINED_MAX
    assert await refused(web) == {"too_many_requests": 1}
    await until(lambda: web.limits.held_bytes == 0)


async def test_waiting_requests_are_dropped_when_their_sender_is_gone(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = 0
    may_answer = asyncio.Event()

    async def healthz(_request: object) -> Any:
        nonlocal answered
        await may_answer.wait()
        answered += 1
        raise AssertionError("an answer for nobody")

    monkeypatch.setattr("workers.receiving.probes.Probes.find", healthz)  # what /readyz waits for
    async with peer(web) as one:
        one.send(READY * 5)
        await until(lambda: any(len(each.pipeline) == 4 for each in connections(web)))
        (held,) = connections(web)
        one.reset()
    held.flow.resume_reading()
    await until(lambda: not connections(web))
    assert not held.pipeline
    assert answered == 0
    may_answer.set()
    await until(lambda: not web.server.server_state.tasks)
    assert answered == 1


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    "request_",
    [
        READY,
        READY * 3,
        READY * 5_000,
        POST % 2 + b"{}",
        (POST % 2 + b"{}") * 20,
        POST % 100,
        POST % 100 + b"{",
        POST % BODY_BYTES_MAX + b"x" * 100_000,
        b"nonsense\r\n\r\n",
        HEALTHY + b"nonsense\r\n\r\n",
        (POST % 2 + b"{}") + b"nonsense\r\n\r\n",
    ],
)
async def test_a_connection_that_closes_at_any_moment_is_not_logged(
    web: Web, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    caplog.set_level(logging.INFO)
    for hang_up in (Peer.reset, lambda one: one.writer.close()):
        for pause_s in (0, 0.001, 0.02):
            async with peer(web) as one:
                one.send(request_)
                await asyncio.sleep(pause_s)
                hang_up(one)
    await until(lambda: not connections(web) or web.server.server_state.tasks == set())
    found = [r for r in caplog.records if r.exc_info or "Exception" in r.getMessage()]
    assert [r.getMessage() for r in found if r.name != "asyncio"] == []


async def test_unreadable_requests_are_counted_and_not_logged_one_by_one(
    web: Web, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        async with peer(web) as one:
            one.send([b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01"][number % 2])
            assert (await one.rest()).startswith(b"HTTP/1.1 400 ")
    assert await refused(web) == {"unreadable": 20}
    answer = capsys.readouterr().out
    assert answer.count("requests_refused") + caplog.text.count("requests_refused") <= 1
    assert "Invalid HTTP request" not in answer + caplog.text


async def test_a_webhook_before_an_unreadable_request_is_still_answered(
    web: Web, db: Connection
) -> None:
    webhook = a_purchase()
    head = b"".join(b"%s: %s\r\n" % (k.encode(), v.encode()) for k, v in webhook.headers.items())
    async with peer(web) as one:
        one.send((POST % len(webhook.body))[:-2] + head + b"\r\n" + webhook.body + b"\x00\x00")
        answer = await one.rest()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'{"result":"stored"}' in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert len(await inbox(db)) == 1


async def test_a_connection_that_reads_no_answers_is_closed(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.serving.connection.WRITE_TIMEOUT_S", 0.05)
    async with peer(web) as one:
        one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        scrape = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n"
        async with asyncio.timeout(DEADLINE_S):
            await until(lambda: connections(web))
            (held,) = connections(web)
            while held in connections(web):
                # As long as answers still fit into the sockets' buffers, more requests are sent.
                if held.cycle is None or held.cycle.response_complete:
                    one.send(scrape)
                await asyncio.sleep(0.001)
    assert (await refused(web))["reads_no_answer"] == 1


# Bytes


async def test_bodies_without_end_stay_within_the_bound_and_the_oldest_is_refused(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 4 * 1024 * 1024
    monkeypatch.setattr(web.limits, "_held_bytes_max", bound)
    most = 0
    async with AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(peer(web)) for _ in range(32)]
        for one in senders:
            one.send(POST % BODY_BYTES_MAX + b"x" * (BODY_BYTES_MAX - 1))
            await asyncio.sleep(0.005)
            most = max(most, web.limits.held_bytes)
            assert web.limits.held_bytes <= bound
        assert most > bound // 2
        assert (await web.post(a_purchase())).json() == {"result": "stored"}
        found = await senders[0].rest()
        assert found == b"" or found.startswith(b"HTTP/1.1 503 ")
    assert (await refused(web))["too_many_bytes"] >= 16
    await until(lambda: web.limits.held_bytes == 0)


async def test_a_sender_that_is_refused_to_free_memory_is_told_when_to_send_again(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.limits, "_held_bytes_max", 1_000)
    async with peer(web) as one:
        one.send(POST % 2_000 + b"x" * 600)
        await until(lambda: web.limits.held_bytes > 600)
        async with peer(web) as other:
            other.send(POST % 2_000 + b"x" * 600)
            answer = await one.rest()
            assert web.limits.held_bytes <= 1_000
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5\r\n" in answer
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b'\r\n\r\n{"result":"not_stored"}')


async def test_headers_without_end_count_towards_the_held_bytes(web: Web) -> None:
    async with peer(web) as one:
        one.send(HEALTHY[:-2] + b"x: " + b"y" * 10_000)
        await until(lambda: web.limits.held_bytes > 10_000)
    await until(lambda: web.limits.held_bytes == 0)


async def test_a_body_that_is_too_large_is_not_held(web: Web) -> None:
    async with peer(web) as one:
        one.send(POST % (8 * 1024 * 1024) + b"x" * (3 * 1024 * 1024))
        await until(lambda: web.limits.held_bytes > BODY_BYTES_MAX)
        assert web.limits.held_bytes < BODY_BYTES_MAX + 1_000  # its headers


async def test_an_answered_request_holds_no_bytes(web: Web) -> None:
    for _ in range(3):
        await web.post(a_purchase())
        await web.client.post("/healthz", content=b"x" * 100_000)
    await until(lambda: web.limits.held_bytes == 0)


# Connections


async def test_idle_connections_are_closed_for_a_webhook(
    database: Database, redis_url: str
) -> None:
    async with serving(database.url("web"), redis_url, connections_max=10) as web:
        async with AsyncExitStack() as stack:
            idle = [await stack.enter_async_context(peer(web)) for _ in range(30)]
            for number in range(5):
                async with peer(web) as fresh:
                    fresh.send(HEALTHY)
                    assert (await fresh.reader.readline()).startswith(b"HTTP/1.1 200 "), number
            assert await idle[0].rest() == b""
            assert (await web.post(a_purchase())).json() == {"result": "stored"}
            assert len(connections(web)) <= 11
        assert (await refused(web))["crowded"] >= 20


@pytest.mark.parametrize("beginning", [b"", HEALTHY, HEALTHY + b"GET /hea", b"POST /web"])
async def test_the_connection_that_is_idle_for_longest_is_closed_first(
    database: Database, redis_url: str, beginning: bytes
) -> None:
    async with (
        serving(database.url("web"), redis_url, connections_max=2) as web,
        peer(web) as first,
        peer(web) as second,
    ):
        for one in (first, second):
            one.send(beginning)
            if beginning.startswith(HEALTHY):
                await one.reader.readuntil(b"ok")
        await until(lambda: web.limits.connections == 2)
        async with peer(web) as third:
            assert await first.rest() == b""
            third.send(HEALTHY)
            assert await third.reader.readuntil(b"ok")
            if beginning == b"":
                second.send(HEALTHY)
                assert await second.reader.readuntil(b"ok")


@pytest.mark.parametrize(
    "half", [POST % 100, POST % 100 + b"x", (POST % 100)[:-2], HEALTHY + POST % 100]
)
async def test_connections_with_half_a_request_are_closed_for_a_webhook(
    database: Database, redis_url: str, half: bytes
) -> None:
    async with (
        serving(database.url("web"), redis_url, connections_max=2) as web,
        peer(web) as one,
        peer(web) as other,
    ):
        for each in (one, other):
            each.send(half)
        await until(lambda: len(web.limits._arriving) == 2)
        assert (await web.post(a_purchase())).json() == {"result": "stored"}
        answer = (await one.rest()).rpartition(b"HTTP/1.1 ")[2]
        assert answer[:3] == (b"" if half.endswith(b"100\r\n") else b"503")
        assert not other.reader.at_eof()


async def test_with_an_answer_due_on_each_connection_others_are_told_when_to_send_again(
    database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer = asyncio.Event()
    find = Probes.find

    async def wait(self: Probes) -> Found:
        await may_answer.wait()
        return await find(self)

    monkeypatch.setattr(Probes, "find", wait)
    async with (
        serving(database.url("web"), redis_url, connections_max=2) as web,
        peer(web) as one,
        peer(web) as other,
    ):
        for each in (one, other):
            each.send(READY)
        await until(lambda: len(web.server.server_state.tasks) == 2)
        for _ in range(3):
            answer = await web.post(a_purchase())
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json() == {"result": "not_stored"}
        may_answer.set()
        assert (await one.reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert (await other.reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert (await web.post(a_purchase())).json() == {"result": "stored"}
