"""RabbitMQ as the queue: it rings, and whatever happens to it, nothing is lost.

On Debian's server, by `make queue-test`.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from msgspec import UNSET
from structlog.testing import capture_logs

from tasks import PROCESS_PAYMENT_EVENTS
from tasks.findings import Verdict
from tests.conditions import eventually
from tests.servers.rabbitmq import IS_INSTALLED, RabbitMq
from tests.servers.tls import Authority, needs_openssl, tls_before
from tests.workers.processes import ROOT
from tests.workers.receiving.serving import Web, a_gift, serving
from workers.cli.doctor.examining import Context
from workers.cli.doctor.queue import check_memory, check_queue, check_tls
from workers.cli.status.command import _read_queue
from workers.processes import SCHEDULER, WORKER
from workers.queue.doorbell import WAITING_MESSAGES_MAX, Bell
from workers.queue.opening import open_probe
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.conftest import Run
    from tests.workers.processes import Process

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not IS_INSTALLED, reason="apt-get install rabbitmq-server"),
]
NO_REDIS = "redis://127.0.0.1:1"
RANG = "select last_doorbell_at is not null from fleet.worker_reports"
RANG_SINCE = "select max(last_doorbell_at) > $1 from fleet.worker_reports"
SILENT = "it takes connections and does not answer"
WORKER_MODULE, SCHEDULER_MODULE = WORKER.module, SCHEDULER.module


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    server = RabbitMq(tmp_path_factory.mktemp("rabbitmq"))
    server.start()
    yield server
    server.close()


@pytest.fixture
def environment(database: Database, rabbitmq: RabbitMq) -> dict[str, str]:
    """The settings of a fleet that has RabbitMQ, and no Redis."""
    return {**database.addresses(), "BROKER_URL": rabbitmq.url(), "LOG_FORMAT": "json"}


async def send(web: Web) -> None:
    webhook = a_gift(f"gift-{uuid4()}")
    assert (await web.post(webhook)).status_code == 200


async def all_done(db: Connection) -> bool:
    return not await db.fetchval("select count(*) from fleet.inbox_events where state = 'pending'")


def told(process: Process) -> list[str]:
    """What the process said that is more than information."""
    lines = [json.loads(line) for line in process.text.splitlines()]
    return [line["event"] for line in lines if line["level"] != "info"]


@pytest.mark.brief
async def test_a_webhook_rings_a_worker(
    run: Run, db: Connection, database: Database, rabbitmq: RabbitMq
) -> None:
    worker = await run(WORKER_MODULE)
    await worker.said("worker_started")
    async with serving(database.url("web"), NO_REDIS, broker_url=rabbitmq.url()) as web:
        await send(web)
        await eventually(lambda: db.fetchval(RANG))
        await eventually(lambda: all_done(db))
        metrics = (await web.client.get("/metrics")).text
        assert "coinfleet_queue_up 1.0" in metrics
        assert (await web.client.get("/readyz")).json()["queue"] == "reachable"
    worker.signal()
    assert await worker.ended() == 0
    assert told(worker) == []


async def test_the_documented_rights_are_enough(
    run: Run, db: Connection, database: Database, rabbitmq: RabbitMq
) -> None:
    page = (ROOT / "docs/deploying.md").read_text()
    [rights] = re.findall(r"set_permissions -p vhost coinfleet '(.*)' '(.*)' '(.*)'", page)
    rabbitmq.control("add_vhost", "fleet")
    rabbitmq.control("add_user", "coinfleet", "secret")
    rabbitmq.control("set_permissions", "-p", "fleet", "coinfleet", *rights)
    url = f"amqp://coinfleet:secret@127.0.0.1:{rabbitmq.port}/fleet"
    worker = await run(WORKER_MODULE, BROKER_URL=url)
    scheduler = await run(SCHEDULER_MODULE, BROKER_URL=url)
    async with serving(database.url("web"), NO_REDIS, broker_url=url) as web:
        await worker.said("worker_started")
        await send(web)
        await eventually(lambda: db.fetchval(RANG))
    for process in (worker, scheduler):
        process.signal()
        assert await process.ended() == 0
        assert told(process) == []


async def test_a_scheduler_fires_ticks_that_a_worker_runs(run: Run, db: Connection) -> None:
    worker = await run(WORKER_MODULE)
    scheduler = await run(SCHEDULER_MODULE)
    await eventually(
        lambda: db.fetchval("select count(*) > 0 from fleet.ticks where outcome = 'done'")
    )
    await eventually(lambda: db.fetchval(RANG))
    for process in (worker, scheduler):
        process.signal()
        assert await process.ended() == 0
        assert told(process) == []


def test_no_more_than_a_few_messages_wait(rabbitmq: RabbitMq) -> None:
    rabbitmq.control("purge_queue", PROCESS_PAYMENT_EVENTS.queue)
    bell = Bell(rabbitmq.url())
    for _ in range(3 * WAITING_MESSAGES_MAX):
        bell.ring(PROCESS_PAYMENT_EVENTS)
    # What was published by another channel is counted a moment later.
    assert bell._broker.waiting(PROCESS_PAYMENT_EVENTS.queue) >= WAITING_MESSAGES_MAX
    assert bell._broker.waiting(PROCESS_PAYMENT_EVENTS.queue) <= 2 * WAITING_MESSAGES_MAX
    bell.close()
    rabbitmq.control("purge_queue", PROCESS_PAYMENT_EVENTS.queue)


@pytest.mark.brief
async def test_while_it_is_gone_events_are_stored_and_applied_all_the_same(
    run: Run, db: Connection, database: Database, rabbitmq: RabbitMq
) -> None:
    worker = await run(WORKER_MODULE)
    await worker.said("worker_started")
    async with serving(database.url("web"), NO_REDIS, broker_url=rabbitmq.url()) as web:
        await send(web)
        await eventually(lambda: db.fetchval(RANG))
        rabbitmq.stop()
        try:
            await worker.said("queue_unreachable")
            await send(web)
            await eventually(lambda: all_done(db))
            assert (await web.client.get("/readyz")).json() == {
                "ready": True,
                "database": "current",
                "queue": "unreachable",
            }
        finally:
            rabbitmq.start()
        await worker.said("queue_back")
        back = await db.fetchval("select clock_timestamp()")

        async def rings_again() -> bool:
            await send(web)
            return bool(await db.fetchval(RANG_SINCE, back))

        await eventually(rings_again, poll_s=0.2)
    worker.signal()
    assert await worker.ended() == 0
    assert told(worker) == ["queue_unreachable"]


async def test_a_worker_that_starts_without_it_works(
    run: Run, db: Connection, database: Database, redis_url: str
) -> None:
    async with serving(database.url("web"), redis_url) as web:
        await send(web)
    worker = await run(WORKER_MODULE, BROKER_URL="amqp://127.0.0.1:1/%2F")
    await eventually(lambda: all_done(db))
    await worker.said("queue_unreachable")
    worker.signal()
    assert await worker.ended() == 0


@pytest.mark.brief
async def test_a_frozen_server_holds_up_neither_a_webhook_nor_a_stop(
    run: Run, db: Connection, database: Database, rabbitmq: RabbitMq
) -> None:
    worker = await run(WORKER_MODULE)
    await worker.said("worker_started")
    async with serving(database.url("web"), NO_REDIS, broker_url=rabbitmq.url()) as web:
        await send(web)
        await eventually(lambda: db.fetchval(RANG))
        rabbitmq.freeze()
        try:
            await send(web)
            await eventually(lambda: all_done(db))
            answer = await web.client.get("/readyz")
            assert (answer.status_code, answer.json()["queue"]) == (200, "unreachable")
            assert "coinfleet_queue_up 0.0" in (await web.client.get("/metrics")).text
            found = await asyncio.to_thread(_read_queue, rabbitmq.url())
            assert found.outage == f"127.0.0.1:{rabbitmq.port}: {SILENT}"
            given = Context(settings=Settings(broker_url=rabbitmq.url()))
            assert [each.verdict for each in await check_queue(given)] == [Verdict.BROKEN]
            worker.signal()
            assert await worker.ended() == 0
        finally:
            rabbitmq.thaw()
    assert set(told(worker)) <= {"queue_unreachable"}


def test_a_wrong_password_is_logged_once_as_a_refusal(rabbitmq: RabbitMq) -> None:
    bell = Bell(rabbitmq.url(password="hunter2"))
    with capture_logs() as logs:
        bell.ring(PROCESS_PAYMENT_EVENTS)
        bell.ring(PROCESS_PAYMENT_EVENTS)
    bell.close()
    (line,) = [each for each in logs if each["log_level"] == "warning"]
    assert (line["event"], line["reason"]) == (
        "queue_refuses",
        "it refuses the user or the password",
    )
    assert "hunter2" not in str(logs)


async def refuses(url: str) -> None:
    """Assert that whoever asks how the queue is hears that it takes nothing."""
    assert await open_probe(url, timeout_s=2).ask() == "refuses_writes"
    assert (await asyncio.to_thread(_read_queue, url)).refusal
    (finding,) = await check_queue(Context(settings=Settings(broker_url=url)))
    assert finding.verdict is Verdict.BROKEN
    assert "refuses writes" in finding.what


async def test_a_user_that_lost_its_rights_is_told_by_whoever_asks(rabbitmq: RabbitMq) -> None:
    rabbitmq.control("add_user", "poor", "secret")
    rabbitmq.control("set_permissions", "-p", "/", "poor", "", "", "")
    await refuses(f"amqp://poor:secret@127.0.0.1:{rabbitmq.port}/%2F")


async def test_a_server_whose_memory_is_full_is_a_refusal_and_holds_up_no_ring(
    rabbitmq: RabbitMq,
) -> None:
    bell = Bell(rabbitmq.url())
    rabbitmq.control("set_vm_memory_high_watermark", "absolute", "1")
    try:
        await refuses(rabbitmq.url())
        with capture_logs() as logs:
            began = time.monotonic()
            for _ in range(3):
                await asyncio.to_thread(bell.ring, PROCESS_PAYMENT_EVENTS)
            took_s = time.monotonic() - began
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", "0.4")
    bell.close()
    # Once, and no word between that it is back.
    [line] = [each for each in logs if each["event"].startswith("queue_")]
    assert line["event"] == "queue_refuses"
    assert "memory or its disk is full" in line["reason"]
    assert took_s < 30  # Not for ever, which is what pika does by default.


@needs_openssl
@pytest.mark.parametrize(
    ("query", "state"),
    [
        ("?ssl_ca_certs={ca}", "reachable"),
        ("?ssl_ca_certs={ca}&ssl_check_hostname=true", "reachable"),
        ("", "unreachable"),
    ],
)
async def test_tls_works_with_the_ca_that_the_address_names(
    rabbitmq: RabbitMq, tmp_path: Path, query: str, state: str
) -> None:
    authority = Authority(tmp_path)
    authority.make()
    with tls_before(rabbitmq.url(), authority.context()) as through:
        url = through + query.format(ca=authority.certificate)
        bell = Bell(url)
        with capture_logs() as logs:
            await asyncio.to_thread(bell.ring, PROCESS_PAYMENT_EVENTS)
        await asyncio.to_thread(bell.close)
        assert await open_probe(url, timeout_s=2).ask() == state
        told = [line["reason"] for line in logs if line["log_level"] == "warning"]
        assert bool(told) is (state == "unreachable")
        assert all("certificate" in reason for reason in told)


def test_status_tells_how_it_is(rabbitmq: RabbitMq) -> None:
    found = _read_queue(rabbitmq.url())
    assert (found.reachable, found.refusal) == (True, UNSET)
    assert found.waiting is not None
    refused = _read_queue(rabbitmq.url(password="hunter2"))
    told = f"127.0.0.1:{rabbitmq.port}: it refuses the user or the password"
    assert (refused.reachable, refused.refusal) == (True, told)
    gone = _read_queue("amqp://127.0.0.1:1")
    assert (gone.reachable, gone.outage) == (False, "127.0.0.1:1: Connection refused")


async def test_the_doctor_tells_how_it_is(rabbitmq: RabbitMq) -> None:
    given = Context(settings=Settings(broker_url=rabbitmq.url()))
    for check in (check_queue, check_memory, check_tls):
        assert {each.verdict for each in await check(given)} == {Verdict.OK}
    refused = Context(settings=Settings(broker_url=rabbitmq.url(password="hunter2")))
    (finding,) = await check_queue(refused)
    assert finding.verdict is Verdict.BROKEN
    assert "refuses writes: it refuses the user or the password" in finding.what
