"""A queue that answers and refuses: one warning in the log, and /readyz and status say so."""

from __future__ import annotations

import json
import re
import shutil
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import dramatiq
import pytest
import redis
import redis.asyncio
from dramatiq import Message
from structlog.testing import capture_logs

from tasks import PROCESS_PAYMENT_EVENTS
from tests.conditions import DEADLINE_S
from tests.workers.cli.operators import coinfleet
from tests.workers.processes import ROOT
from tests.workers.receiving.serving import a_purchase, inbox, serving
from workers.embedded import EmbeddedValkey
from workers.queue.client import QueueBroker
from workers.queue.doorbell import Bell
from workers.queue.probe import probe_queue
from workers.queue.trouble import CALM_S, SAME_TROUBLE_S, QueueTrouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.conftest import Run

TASK = PROCESS_PAYMENT_EVENTS
# What the docs tell an operator to write.
[RIGHTS] = re.findall(
    r"^ACL SETUSER coinfleet on >password (.*)$",
    (ROOT / "docs/deploying.md").read_text(),
    re.MULTILINE,
)
ACL = f"on >secret {RIGHTS}"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A queue server of the test's own, because the test breaks it."""
    server = EmbeddedValkey(tmp_path)
    server.start()
    yield server
    # A server that can't save as it is told to refuses to end.
    with redis.Redis.from_url(server.url) as client:
        client.config_set("save", "")
    server.stop()


def spoil(queue: EmbeddedValkey, how: str) -> str:
    """Make the server refuse writes; return the address to use from now on."""
    with redis.Redis.from_url(queue.url) as client:
        match how:
            case "OOM":
                client.config_set("maxmemory", "1")
            case "MISCONF":
                shutil.rmtree(queue.data_dir / "valkey")
                client.config_set("save", "3600 1")
                client.bgsave()
                deadline = time.monotonic() + DEADLINE_S
                while client.info("persistence")["rdb_last_bgsave_status"] == "ok":
                    assert time.monotonic() < deadline
            case "READONLY":
                client.replicaof("127.0.0.1", "1")
            case "NOPERM":
                client.execute_command("acl", "setuser", "reader", "on", ">secret", "~*", "+@read")
                parts = urlsplit(queue.url)
                return f"redis://reader:secret@127.0.0.1:{parts.port}/0"
    return queue.url


def mend(queue: EmbeddedValkey, how: str) -> None:
    """Make it take writes again."""
    with redis.Redis.from_url(queue.url) as client:
        match how:
            case "OOM":
                client.config_set("maxmemory", "64mb")
            case "MISCONF":
                client.config_set("stop-writes-on-bgsave-error", "no")
            case "READONLY":
                client.replicaof("NO", "ONE")
            case "NOPERM":
                client.execute_command("acl", "setuser", "reader", "+@all")


REFUSALS = ("OOM", "MISCONF", "READONLY", "NOPERM")


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_is_logged_once_and_once_more_when_it_is_over(
    queue: EmbeddedValkey, how: str
) -> None:
    bell = Bell(spoil(queue, how))
    with capture_logs() as logs:
        for _ in range(5):
            bell.ring(TASK)
        mend(queue, how)
        for _ in range(3):
            bell.ring(TASK)
    bell.close()
    assert [line["event"] for line in logs] == ["queue_refuses", "queue_back"]
    assert logs[0]["log_level"] == "warning"
    assert logs[0]["server"] == f"127.0.0.1:{urlsplit(queue.url).port}"


@pytest.mark.parametrize("how", REFUSALS)
def test_fetching_from_a_queue_that_refuses_is_an_outage(queue: EmbeddedValkey, how: str) -> None:
    broker = QueueBroker(spoil(queue, how), middleware=[])
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(QueueTrouble):
                broker.do_fetch(TASK.queue, 1)
        mend(queue, how)
        assert broker.do_fetch(TASK.queue, 1) == []
    broker.close()
    assert [line["event"] for line in logs] == ["queue_refuses", "queue_back"]


def test_a_queue_of_which_some_connections_work_does_not_fill_the_log(
    queue: EmbeddedValkey,
) -> None:
    """As after a new password: old connections go on, new ones are refused."""
    bell = Bell(queue.url)
    broker = bell._broker
    with capture_logs() as logs:
        for _ in range(20):
            broker.note_trouble(redis.AuthenticationError("NOAUTH"))
            bell.ring(TASK)
            broker.note_trouble(redis.TimeoutError("Timeout reading from socket"))
            bell.ring(TASK)
    bell.close()
    # An outage that begins again within a minute is the same one, and each name is logged once.
    assert [line["event"] for line in logs] == [
        *("queue_refuses", "queue_back"),
        *("queue_unreachable", "queue_refuses"),
    ]


def test_the_same_outage_is_over_once_nothing_failed_for_a_while(
    queue: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("workers.outage.time", SimpleNamespace(monotonic=lambda: now[0]))
    broker = QueueBroker(queue.url, middleware=[])
    with capture_logs() as logs:
        for _ in range(2):
            broker.note_trouble(redis.TimeoutError())
            broker.note_back()
        now[0] += CALM_S
        broker.note_back()
        now[0] += SAME_TROUBLE_S
        broker.note_trouble(redis.TimeoutError())
        broker.note_back()
    broker.close()
    assert [line["event"] for line in logs] == ["queue_unreachable", "queue_back"] * 3


def test_a_queue_that_can_be_read_is_not_back_while_it_refuses_to_be_written(
    queue: EmbeddedValkey,
) -> None:
    bell = Bell(queue.url)
    for _ in range(4):
        bell.ring(TASK)
    with capture_logs() as logs:
        bell._broker.note_trouble(redis.ResponseError("OOM"))
        bell.ring(TASK)  # Enough wait: it is read alone.
    bell.close()
    assert [line["event"] for line in logs] == ["queue_refuses"]


def test_a_missing_password_is_logged_in_words(queue: EmbeddedValkey) -> None:
    bell = Bell(f"redis://127.0.0.1:{urlsplit(queue.url).port}/0")
    with capture_logs() as logs:
        bell.ring(TASK)
    bell.close()
    [line] = logs
    assert line["event"] == "queue_refuses"
    assert line["reason"] == "it asks for a password, and the address has none (NOAUTH)"


def test_the_reason_of_a_refusal_names_no_script(queue: EmbeddedValkey) -> None:
    bell = Bell(spoil(queue, "OOM"))
    with capture_logs() as logs:
        bell.ring(TASK)
    bell.close()
    assert logs[0]["reason"] == "command not allowed when used memory > 'maxmemory'"


async def test_after_a_replica_the_next_call_connects_to_the_server_that_has_the_name(
    queue: EmbeddedValkey,
) -> None:
    """After a failover a client is connected to the old server, which is a replica now."""
    broker = QueueBroker(spoil(queue, "READONLY"), middleware=[])
    connections = set()
    for _ in range(3):
        connections.add(broker.client.client_id())
        with pytest.raises(QueueTrouble):
            broker.do_fetch(TASK.queue, 1)
    broker.close()
    assert len(connections) == 3
    async with redis.asyncio.Redis.from_url(queue.url) as client:
        connections = set()
        for _ in range(3):
            connections.add(await client.client_id())
            assert await probe_queue(client) == "refuses_writes"
        assert len(connections) == 3


@pytest.mark.parametrize("right", ["+set", "+evalsha", "+zadd", "+hset", "+rpush"])
async def test_one_right_that_a_doorbell_lacks_is_a_refusal(
    queue: EmbeddedValkey, right: str
) -> None:
    port = urlsplit(queue.url).port
    url = f"redis://coinfleet:secret@127.0.0.1:{port}/0"
    rights = [word for word in ACL.split() if word != right]
    async with redis.asyncio.Redis.from_url(queue.url) as client:
        await client.execute_command("acl", "setuser", "coinfleet", "reset", *rights)
    broker = QueueBroker(url, middleware=[])
    assert right[1:] in str(broker.write_refusal())
    broker.close()
    async with redis.asyncio.Redis.from_url(url) as client:
        assert await probe_queue(client) == "refuses_writes"


async def test_asking_a_queue_that_works_leaves_nothing_of_its_own(queue: EmbeddedValkey) -> None:
    async with redis.asyncio.Redis.from_url(queue.url) as client:
        assert await probe_queue(client) == "reachable"
        keys = await client.keys("*probe*")
        assert keys == [b"dramatiq:probe"]
        assert await client.pttl(keys[0]) > 0


def test_a_wrong_password_is_a_refusal_and_is_not_logged(queue: EmbeddedValkey) -> None:
    port = urlsplit(queue.url).port
    bell = Bell(f"redis://:hunter2@127.0.0.1:{port}/0")
    with capture_logs() as logs:
        bell.ring(TASK)
        bell.ring(TASK)
    bell.close()
    [line] = logs
    assert line["event"] == "queue_refuses"
    assert "hunter2" not in str(line)


@pytest.mark.long_but_first
@pytest.mark.parametrize("how", REFUSALS)
async def test_readiness_says_that_the_queue_refuses_and_webhooks_are_stored(
    database: Database, db: Connection, queue: EmbeddedValkey, how: str
) -> None:
    async with serving(database.url("web"), spoil(queue, how)) as web:
        response = await web.client.get("/readyz")
        assert response.status_code == 200
        assert response.json()["queue"] == "refuses_writes"
        assert (await web.post(a_purchase())).status_code == 200
    assert len(await inbox(db)) == 1


@pytest.mark.long_but_first
@pytest.mark.parametrize("how", REFUSALS)
def test_status_says_that_the_queue_refuses(
    database: Database, queue: EmbeddedValkey, how: str
) -> None:
    url = spoil(queue, how)
    told = coinfleet("status", "--json", DATABASE_URL=database.url(), REDIS_URL=url)
    assert told.returncode == 1
    health = json.loads(told.stdout)
    assert health["queue"]["reachable"] is True
    assert f"127.0.0.1:{urlsplit(queue.url).port}: " in health["queue"]["refusal"]
    assert [line for line in health["attention"] if "the queue refuses writes" in line]
    assert "secret" not in told.stdout + told.stderr


async def test_a_worker_logs_once_that_its_queue_refuses_and_goes_on(
    run: Run, queue: EmbeddedValkey
) -> None:
    url = spoil(queue, "OOM")
    worker = await run("workers.consumer", REDIS_URL=url)
    await worker.said("queue_refuses")
    mend(queue, "OOM")
    await worker.said("queue_back")
    lines = [json.loads(line) for line in worker.text.splitlines()]
    assert [line["event"] for line in lines if line["level"] != "info"] == ["queue_refuses"]


# What others put there


def test_an_unreadable_message_is_dropped_and_logged_once_per_kind(
    queue: EmbeddedValkey,
) -> None:
    """Messages of a newer release, of no release, and of another program."""
    broker = QueueBroker(queue.url, middleware=[])
    dramatiq.actor(actor_name=TASK.name, queue_name=TASK.queue, broker=broker)(len)
    strange = [Message(TASK.queue, f"task_{n}", (), {}, {}).encode() for n in (1, 1, 1, 2)]
    with redis.Redis.from_url(queue.url) as client:
        for number, body in enumerate([*strange, b"?", b"{}", b"[]", b"null", b"\xff", b"?"]):
            client.hset(f"dramatiq:{TASK.queue}.msgs", f"id-{number}", body)
            client.rpush(f"dramatiq:{TASK.queue}", f"id-{number}")
        client.rpush(f"dramatiq:{TASK.queue}", "id-without-a-message")
    broker.enqueue(Message(TASK.queue, TASK.name, (), {}, {}))
    consumer = broker.consume(TASK.queue, prefetch=100, timeout=1)
    with capture_logs() as logs:
        found = [next(consumer) for _ in range(12)]
    assert [message.actor_name for message in found if message] == [TASK.name]
    told = [line for line in logs if line["log_level"] != "debug"]
    assert {line["event"] for line in told} == {"message_dropped"}
    reasons = [line["reason"] for line in told]
    assert len(reasons) == len(set(reasons))
    assert [reason for reason in reasons if "'task_1'" in reason or "'task_2'" in reason]
    broker.close()


# Rights


def work_through(url: str) -> None:
    """Do all that a fleet does with its queue, and all that Dramatiq does by chance."""
    # Asked for once a process.
    QueueBroker._max_unpack_size_val = None
    broker, dead = QueueBroker(url, middleware=[]), QueueBroker(url, middleware=[])
    for each in (broker, dead):
        each._should_do_maintenance = lambda _command: 1  # type: ignore[method-assign]
    for _ in range(4):
        broker.enqueue(Message(TASK.queue, TASK.name, (), {}, {}))
    assert broker.waiting(TASK.queue) == 4
    assert broker.write_refusal() is None
    fetched = [Message.decode(each) for each in broker.do_fetch(TASK.queue, 3)]
    first, second, third = (message.options["redis_message_id"] for message in fetched)
    broker.do_ack(TASK.queue, first)
    broker.do_nack(TASK.queue, second)
    broker.do_requeue(TASK.queue, third)
    # One fetches, and dies: its message is taken from it, its dead letters are dropped.
    assert len(dead.do_fetch(TASK.queue, 1)) == 1
    broker.heartbeat_timeout = broker.dead_message_ttl = -1_000
    assert broker.do_qsize(TASK.queue) == 2
    assert broker.waiting(TASK.queue) == 2
    broker.flush(TASK.queue)
    for each in (broker, dead):
        each.close()


def test_the_rights_in_the_docs_are_all_that_a_fleet_needs(queue: EmbeddedValkey) -> None:
    with redis.Redis.from_url(queue.url) as client:
        client.execute_command("acl", "setuser", "coinfleet", *ACL.split())
        client.script_flush()
        port = urlsplit(queue.url).port
        with capture_logs() as logs:
            work_through(f"redis://coinfleet:secret@127.0.0.1:{port}/1")
        assert logs == []
        refused = {entry["object"] for entry in client.acl_log()}
        assert refused <= {"client|setinfo"}


def test_each_right_in_the_docs_is_needed(queue: EmbeddedValkey) -> None:
    # Asked for while connecting, and done without where they are missing.
    at_start = {"+ping", "+hello", "+auth"}
    url = f"redis://coinfleet:secret@127.0.0.1:{urlsplit(queue.url).port}/1"
    with redis.Redis.from_url(queue.url) as client:
        for right in {word for word in ACL.split() if word.startswith("+")} - at_start:
            rights = [word for word in ACL.split() if word != right]
            client.execute_command("acl", "setuser", "coinfleet", "reset", *rights)
            client.flushall()
            client.script_flush()
            with pytest.raises((redis.RedisError, AssertionError)):
                work_through(url)
