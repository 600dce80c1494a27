"""The web process as an operator runs it: how it starts, what it logs, and how it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, socket
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.conditions import DEADLINE_S, eventually
from workers.cli.simulate.events import app_webhook, gift_sent
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.conftest import Connect
    from workers.cli.simulate.events import Webhook

APP_SECRET = DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]


def a_free_port() -> int:
    with socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def a_gift() -> Webhook:
    event = gift_sent(sender_id=uuid4(), recipient_id=uuid4(), gift_type="rose")
    return app_webhook("gift-1", event, secret=APP_SECRET, at_s=time.time())


@pytest.fixture
def port() -> int:
    return a_free_port()


@pytest_asyncio.fixture
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S) as client:
        yield client


@pytest_asyncio.fixture
async def process(
    database: Database, redis_url: str, port: int, client: httpx.AsyncClient
) -> AsyncIterator[Process]:
    """`python -m workers.webhooks`, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.webhooks",
        env={
            **os.environ,
            **DEVELOPMENT_SECRETS,
            "PORT": str(port),
            "WEB_DATABASE_URL": database.url("web"),
            "DATABASE_URL": database.url(),
            "REDIS_URL": redis_url,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def is_ready() -> bool:
        assert process.returncode is None
        try:
            return (await client.get("/readyz")).is_success
        except httpx.TransportError:
            return False

    await eventually(is_ready)
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def post(client: httpx.AsyncClient, webhook: Webhook) -> httpx.Response:
    return await client.post(webhook.path, content=webhook.body, headers=dict(webhook.headers))


async def test_it_logs_in_as_web(process: Process, db: Connection) -> None:
    roles = await db.fetch(
        "select distinct usename from pg_stat_activity"
        " where datname = current_database() and application_name = 'coinfleet web'"
    )
    assert [row["usename"] for row in roles] == ["coinfleet_web"]


async def test_one_signal_ends_it_cleanly_with_connections_open(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.mark.long
async def test_a_second_signal_changes_nothing(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_sender_of_half_a_request_is_told_to_send_again_and_not_logged(
    process: Process, port: int
) -> None:
    senders = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    for _, writer in senders:
        writer.write(b"POST /webhooks/app HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
    # The request that is answered came after them.
    async with httpx.AsyncClient() as later:
        await later.get(f"http://127.0.0.1:{port}/healthz")
    process.send_signal(signal.SIGTERM)
    printed, _ = await asyncio.wait_for(process.communicate(), 10)
    answers = [await reader.read() for reader, _ in senders]
    for _, writer in senders:
        writer.close()
        await writer.wait_closed()
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in answer.lower()
    assert b"Traceback" not in printed
    assert b'"cause": "stopping"' in printed


@pytest.mark.long
async def test_what_it_has_read_is_stored_and_acknowledged_before_it_stops(
    process: Process, client: httpx.AsyncClient, connect: Connect, db: Connection
) -> None:
    blocker = await connect("owner")
    lock = blocker.transaction()
    await lock.start()
    await blocker.execute("lock table fleet.inbox_events in share mode")
    delivery = asyncio.create_task(post(client, a_gift()))
    await eventually(
        lambda: db.fetchval(
            "select exists (select from pg_stat_activity where datname = current_database()"
            " and application_name = 'coinfleet web' and wait_event_type = 'Lock')"
        )
    )
    process.send_signal(signal.SIGTERM)

    async def refuses() -> bool:
        async with httpx.AsyncClient(base_url=client.base_url) as other:
            try:
                await other.get("/healthz")
            except httpx.TransportError:
                return True
            return False

    await eventually(refuses)
    await lock.rollback()
    assert (await delivery).json() == {"result": "stored"}
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert await db.fetchval("select count(*) from fleet.inbox_events") == 1


async def test_it_never_logs_a_request(process: Process, client: httpx.AsyncClient) -> None:
    webhook = a_gift()
    await post(client, webhook)
    await client.post(
        "/webhooks/stripe", content=b"hostile", headers={"stripe-signature": "marker"}
    )
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    output = (await process.stdout.read()).decode()
    assert "web_starting" in output
    for private in (
        *webhook.headers.values(),
        "hostile",
        "marker",
        "rose",
        "webhooks/",
        APP_SECRET,
    ):
        assert private not in output
