"""The web process with very many connections: its memory, its descriptors and its ports."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from contextlib import ExitStack, asynccontextmanager
from socket import SO_LINGER, SOL_SOCKET, create_connection
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psutil
import pytest

from tests.conditions import eventually
from tests.workers.processes import Process, running
from tests.workers.receiving.test_web_process import a_free_port
from workers.cli.simulate.events import app_webhook, gift_sent
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from socket import socket

    from tests.clusters import Database
    from tests.workers.conftest import Run

APP_SECRET = DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]
POST = b"POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n"
MB = 1_000_000


class WebProcess:
    """A running `web` and its address."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port
        self._system = psutil.Process(process.popen.pid)

    @property
    def rss(self) -> int:
        found: int = self._system.memory_info().rss
        return found

    def connect(self) -> socket:
        return create_connection(("127.0.0.1", self.port), timeout=10)

    async def deliver(self, event_id: str) -> str:
        """Send a gift as the app does, on a connection of its own; return the answer."""
        event = gift_sent(sender_id=uuid4(), recipient_id=uuid4(), gift_type="rose")
        webhook = app_webhook(event_id, event, secret=APP_SECRET, at_s=time.time())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            answer = await client.post(
                webhook.path, content=webhook.body, headers=dict(webhook.headers), timeout=20
            )
        result: str = answer.json()["result"]
        return result


@asynccontextmanager
async def web(
    database: Database, redis_url: str, log: Path, *, descriptors: int | None = None, **more: str
) -> AsyncIterator[WebProcess]:
    """`python -m workers.webhooks`, with so many descriptors, ready."""
    port = a_free_port()
    environment = {
        **DEVELOPMENT_SECRETS,
        "PORT": str(port),
        "WEB_DATABASE_URL": database.url("web"),
        "REDIS_URL": redis_url,
        "LOG_FORMAT": "json",
    }
    async with running(
        log, "workers.webhooks", descriptors=descriptors, **environment | more
    ) as process:
        found = WebProcess(process, port)

        async def is_ready() -> bool:
            assert process.popen.poll() is None, process.text
            try:
                with found.connect() as one:
                    one.sendall(READY)
                    return one.recv(100).startswith(b"HTTP/1.1 200 ")
            except OSError:
                return False

        await eventually(is_ready)
        yield found


@pytest.mark.long
async def test_pipelined_requests_cost_webhooks_neither_memory_nor_time(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    async with web(database, redis_url, tmp_path / "log") as process:
        before = process.rss
        flood = READY * (256 * 1024 // len(READY))
        with ExitStack() as stack:
            for _ in range(60):
                one = stack.enter_context(process.connect())
                one.setblocking(False)  # noqa: FBT003 - so it is called
                # As much as fits into the sockets' buffers: the test waits for no more.
                one.send(flood)
            most = 0
            for number in range(20):
                assert await process.deliver(f"gift-{number}") == "stored"
                most = max(most, process.rss)
        assert await process.deliver("gift-last") == "stored"
        assert most - before < 40 * MB
        text = process.process.text
    assert "Traceback" not in text
    assert text.count("requests_refused") <= 2


async def test_connections_that_close_at_any_moment_log_no_traceback(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    empty = POST % 0
    half = POST % 200_000 + b"x" * 100_000
    # Its answer takes as long as the database needs.
    event = gift_sent(sender_id=uuid4(), recipient_id=uuid4(), gift_type="rose")
    webhook = app_webhook("gift-1", event, secret=APP_SECRET, at_s=time.time())
    lines = b"".join(b"%s: %s\r\n" % (k.encode(), v.encode()) for k, v in webhook.headers.items())
    head = b"POST /webhooks/app HTTP/1.1\r\ncontent-length: %d\r\n" % len(webhook.body)
    whole = head + lines + b"\r\n" + webhook.body
    requests = [READY * 3, READY * 500, empty * 5, half, whole + half, whole, whole * 5, whole * 50]
    async with web(database, redis_url, tmp_path / "log") as process:
        for number, request in enumerate(requests * 6):
            with process.connect() as one:
                one.setblocking(False)  # noqa: FBT003 - so it is called
                one.send(request)
                # A reset, or an ordinary close with answers unread, at once or a little later.
                if number % 2:
                    one.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                await asyncio.sleep(number % 3 * 0.002)
        assert await process.deliver("gift-last") == "stored"
        text = process.process.text
    assert "Traceback" not in text
    assert "Exception" not in text


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        pytest.param(READY, marks=pytest.mark.long),
        pytest.param(b"POST /webhooks/app HTTP/1.1\r\n", marks=pytest.mark.long),
    ],
)
async def test_idle_connections_beyond_the_descriptors_stop_no_webhook(
    database: Database, redis_url: str, tmp_path: Path, sent: bytes
) -> None:
    async with web(database, redis_url, tmp_path / "log", descriptors=256) as process:
        with ExitStack() as stack:
            for number in range(300):
                one = stack.enter_context(process.connect())
                one.sendall(sent)
                if number % 50 == 49:
                    assert await process.deliver(f"gift-{number}") == "stored", process.process.text
        lines = [json.loads(line) for line in process.process.text.splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("few_descriptors") == 1
    (crowded,) = (line for line in lines if line["event"] == "requests_refused")
    assert crowded["cause"] == "crowded"
    assert crowded["connections_max"] == 64


async def test_metrics_have_a_port_of_their_own_if_there_is_one(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    scraped = a_free_port()
    more = {"METRICS_PORT": str(scraped)}
    async with (
        web(database, redis_url, tmp_path / "log", **more) as process,
        httpx.AsyncClient() as client,
    ):
        ours, theirs = f"http://127.0.0.1:{process.port}", f"http://127.0.0.1:{scraped}"
        assert (await client.get(f"{ours}/metrics")).status_code == 404
        metrics = await client.get(f"{theirs}/metrics")
        assert metrics.status_code == 200
        assert "coinfleet_database_up 1.0" in metrics.text
        for path in ("/", "/healthz", "/readyz", "/webhooks/app"):
            assert (await client.get(f"{theirs}{path}")).status_code == 404, path
        assert (await client.post(f"{theirs}/webhooks/app")).status_code == 404
        process.process.signal()
        assert await process.process.ended() == 0


@pytest.mark.long_but_first
@pytest.mark.parametrize("host", ["http://0.0.0.0", "192.0.2.1"])
async def test_an_address_that_is_not_this_machines_is_named(
    run: Run, environment: dict[str, str], database: Database, host: str
) -> None:
    process = await run(
        "workers.webhooks",
        **DEVELOPMENT_SECRETS,
        WEB_DATABASE_URL=database.url("web"),
        PORT=str(a_free_port()),
        COINFLEET_HOST=host,
    )
    assert await process.ended() == 3
    (line,) = (line for line in process.text.splitlines() if "web_not_started" in line)
    assert f"can't listen on {host}" in line
    assert "COINFLEET_HOST" in line
    assert "Traceback" not in process.text


async def test_a_metrics_port_that_is_taken_is_named(
    run: Run, environment: dict[str, str], database: Database
) -> None:
    taken = a_free_port()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", taken)
    async with server:
        process = await run(
            "workers.webhooks",
            **DEVELOPMENT_SECRETS,
            WEB_DATABASE_URL=database.url("web"),
            PORT=str(a_free_port()),
            METRICS_PORT=str(taken),
        )
        assert await process.ended() == 3
    (line,) = (line for line in process.text.splitlines() if "metrics_port_refused" in line)
    assert str(taken) in line
    assert "Traceback" not in process.text
