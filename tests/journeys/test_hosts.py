"""Several hosts, each with every process, on one database: one is cut off, and nothing is lost.

In network namespaces, by `make hosts-test`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.connections.session_setup import IDLE_IN_TRANSACTION_MS
from db.release.runner import migrate
from tests.conditions import eventually
from tests.db.books import INVARIANTS
from tests.faults.shop import COINS, Purchase, coins, sign_up
from tests.servers.hosts import SERVER, Host, make_network
from workers.embedded import EmbeddedPostgres, EmbeddedValkey
from workers.processes import PROCESSES
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from db.connections.pool import Connection

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        "COINFLEET_TEST_HOSTS" not in os.environ, reason="in a network of its own: make hosts-test"
    ),
]
PORT = 8000
PURCHASES = 60


@pytest_asyncio.fixture
async def settings(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The servers on the machine between the hosts, and the settings that lead there."""
    make_network()
    postgres = EmbeddedPostgres(tmp_path, settings={"listen_addresses": f"127.0.0.1,{SERVER}"})
    valkey = EmbeddedValkey(tmp_path)
    postgres.start()
    valkey.start()
    with (tmp_path / "postgres" / "cluster" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/24 scram-sha-256\n")
    superuser = await open_connection(postgres.superuser_url, application_name="test")
    await superuser.execute("select pg_reload_conf()")
    await superuser.close()
    await migrate(postgres.owner_url())
    queue = await asyncio.start_server(_joined_to(valkey.port), SERVER, 0)
    port = queue.sockets[0].getsockname()[1]
    found = {"DATABASE_URL": postgres.owner_url()}
    for process in PROCESSES.values():
        if process.is_long_lived:
            address = postgres.role_url(process.login)
            found[process.address] = address.replace("127.0.0.1", SERVER)
    queue_url = valkey.url.replace(f"127.0.0.1:{valkey.port}", f"{SERVER}:{port}")
    yield found | {"REDIS_URL": queue_url, "LOG_FORMAT": "json", "PORT": str(PORT)}
    queue.close()
    valkey.stop()
    postgres.stop()


def _joined_to(port: int):  # noqa: ANN202
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer), return_exceptions=True)

    return join


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def hosts(settings: dict[str, str], tmp_path: Path) -> AsyncIterator[list[Host]]:
    """Two hosts, each with every process that keeps running."""
    hosts = [Host(1), Host(2)]
    own = {name: value for name, value in settings.items() if name != "DATABASE_URL"}
    for host in hosts:
        host.make()
        for process in PROCESSES.values():
            if process.is_long_lived:
                log = tmp_path / f"{host.name}-{process.name}.log"
                listens = {"COINFLEET_HOST": host.address}
                host.start(log, process.module, **own | DEVELOPMENT_SECRETS | listens)
    yield hosts
    for host in hosts:
        host.kill()


async def send(host: Host, purchases: Sequence[Purchase]) -> list[Purchase]:
    """Send each to this host; return those that it acknowledged."""
    taken = []
    async with httpx.AsyncClient(base_url=f"http://{host.address}:{PORT}", timeout=2) as client:
        for purchase in purchases:
            webhook = purchase.webhook()
            try:
                answer = await client.post(
                    webhook.path, content=webhook.body, headers=dict(webhook.headers)
                )
            except httpx.TransportError:
                continue
            if answer.is_success:
                taken.append(purchase)
    return taken


async def is_ready(host: Host) -> bool:
    try:
        async with httpx.AsyncClient(timeout=2) as client:
            return (await client.get(f"http://{host.address}:{PORT}/readyz")).is_success
    except httpx.TransportError:
        return False


async def test_a_host_that_is_cut_off_loses_nothing_and_works_on_when_it_is_back(
    settings: dict[str, str], hosts: list[Host]
) -> None:
    async with AsyncExitStack() as closing:
        db = await open_connection(settings["DATABASE_URL"], application_name="test")
        closing.callback(db.terminate)
        purchases = await sign_up(db, PURCHASES)
        first, second = hosts
        for host in hosts:
            await eventually(lambda host=host: is_ready(host))
        third = PURCHASES // 3

        # Both take and apply, under names of their own.
        assert len(await send(first, purchases[:third:2])) == third // 2
        assert len(await send(second, purchases[1:third:2])) == third // 2
        await eventually(lambda: are_applied(db, purchases[:third]))
        named = await db.fetch("select worker from fleet.worker_reports order by worker")
        assert [row["worker"] for row in named] == ["host1:1", "host2:1"]

        # The first is cut off at work; its sender sends to the second what was not taken.
        middle = purchases[third : 2 * third]
        taken = await send(first, middle[:10])
        assert len(taken) == 10
        first.cut()
        assert await send(first, middle[10:12]) == []
        assert await send(second, middle[10:]) == middle[10:]
        # A batch that the first had in hand stays locked until the database ends its session, which
        # is three of the deadlines of `eventually` at most.
        for _ in range(IDLE_IN_TRANSACTION_MS // 30_000):
            with suppress(AssertionError):
                await eventually(lambda: are_applied(db, purchases[: 2 * third]))
        await eventually(lambda: are_applied(db, purchases[: 2 * third]))

        # Back again, it goes on by itself.
        first.mend()
        await eventually(lambda: is_ready(first))
        assert len(await send(first, purchases[2 * third :])) == third
        await eventually(lambda: are_applied(db, purchases))

        assert await coins(db, purchases) == [COINS] * PURCHASES
        for invariant in INVARIANTS:
            assert await db.fetchval(f"select count(*) from invariants.{invariant}") == 0
        runs = "select count(*) from fleet.ticks group by job, tick having count(*) > 1"
        assert await db.fetch(runs) == []
        for host in hosts:
            assert set(host.stop()) == {0}


async def are_applied(db: Connection, purchases: Sequence[Purchase]) -> bool:
    names = [each.event_id for each in purchases]
    applied = await db.fetchval(
        "select count(*) from fleet.inbox_events"
        " where provider_event_id = any($1) and state = 'applied'",
        names,
    )
    return bool(applied == len(names))
