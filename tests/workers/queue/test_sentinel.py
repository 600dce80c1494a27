"""Redis behind Sentinel: the fleet follows the server that is promoted.

On Debian's servers, by `make queue-test`; what an address must look like is always tested.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.conditions import eventually
from tests.servers.sentinel import IS_INSTALLED, SentinelQueue
from tests.workers.receiving.serving import a_gift, serving
from workers.cli.doctor.examining import Context
from workers.cli.doctor.queue import check_queue
from workers.cli.status.command import _read_queue
from workers.processes import WORKER
from workers.queue.redis_clients import make_client, sentinels_of
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.workers.conftest import Run

RANG_SINCE = "select max(last_doorbell_at) > $1 from fleet.worker_reports"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SentinelQueue]:
    servers = SentinelQueue(tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.mark.long
@pytest.mark.brief
@pytest.mark.skipif(not IS_INSTALLED, reason="apt-get install redis-server redis-sentinel")
async def test_after_a_failover_the_promoted_server_rings(
    run: Run, db: Connection, database: Database, queue: SentinelQueue
) -> None:
    worker = await run(WORKER.module, REDIS_URL=queue.url)
    await worker.said("worker_started")
    async with serving(database.url("web"), queue.url) as web:

        async def rings_since(begin: object) -> bool:
            assert (await web.post(a_gift(f"gift-{uuid4()}"))).status_code == 200
            return bool(await db.fetchval(RANG_SINCE, begin))

        begin = await db.fetchval("select now()")
        await eventually(lambda: rings_since(begin), poll_s=0.2)
        queue.kill_the_primary()
        killed = await db.fetchval("select clock_timestamp()")
        # What was rung before may be answered after the kill: a second is long enough for that.
        await eventually(lambda: rings_since(killed), poll_s=0.5)

        async def is_reachable() -> bool:
            return bool((await web.client.get("/readyz")).json()["queue"] == "reachable")

        await eventually(is_reachable, poll_s=0.2)
    worker.signal()
    assert await worker.ended() == 0
    lines = [json.loads(line) for line in worker.text.splitlines()]
    troubles = {line["event"] for line in lines if line["level"] == "error"}
    assert troubles == set()


def test_an_address_names_the_sentinels_and_what_they_watch() -> None:
    url = "redis://ann:p%40ss@a:1,b:2,c/3?sentinel=wakeups&sentinel_password=x"
    assert Settings(redis_url=url).queue_url == url
    assert sentinels_of(url) == [("a", 1), ("b", 2), ("c", 26379)]
    told = make_client(url).connection_pool.connection_kwargs
    assert (told["username"], told["password"], told["db"]) == ("ann", "p@ss", 3)


async def test_sentinels_that_do_not_answer_are_named_with_the_cause_and_no_more() -> None:
    url = "redis://:hunter2@127.0.0.1:1,127.0.0.1:2/0?sentinel=wakeups&sentinel_password=hush"
    outage = (await asyncio.to_thread(_read_queue, url)).outage
    (finding,) = await check_queue(Context(settings=Settings(redis_url=url)))
    for told in (str(outage), finding.what):
        assert "127.0.0.1:1,127.0.0.1:2" in told
        assert "No master found for 'wakeups'" in told
        # As the client names it, once per Sentinel.
        assert told.count("ConnectionError") == 2
        assert "<" not in told
        assert "hush" not in told


@pytest.mark.parametrize(
    "url", ["redis://a:1,b:2/0", "redis://a:1,,b:2/0?sentinel=x", "unix:///run/x?sentinel=x"]
)
def test_an_address_of_several_servers_needs_the_name(url: str) -> None:
    with pytest.raises(ValueError, match=r"[Ss]entinel"):
        Settings(redis_url=url)
