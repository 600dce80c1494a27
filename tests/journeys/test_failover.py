"""A real streaming standby behind the fleet's addresses, moved to the primary, promoted itself."""

from __future__ import annotations

import subprocess
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from db.release.runner import migrate
from tests.conditions import eventually
from tests.faults.fleets import SCHEDULER, WEB, WORKER
from tests.journeys.fleet_run import free_port
from tests.servers.gate import Gate
from tests.workers.processes import Process, running
from tests.workers.receiving.serving import a_purchase
from workers.cli.status.command import read_health
from workers.embedded import EmbeddedPostgres, EmbeddedValkey
from workers.processes import PROCESSES
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LONG_LIVED = [process for process in PROCESSES.values() if process.is_long_lived]


class Standby(EmbeddedPostgres):
    """A server that has all roles from its primary."""

    def set_up(self) -> None:
        """Write nothing: it couldn't."""


@contextmanager
def primary_and_standby(folder: Path) -> Iterator[tuple[EmbeddedPostgres, Standby]]:
    """Two servers, the second of which streams from the first."""
    primary = EmbeddedPostgres(folder / "primary")
    primary.start()
    primary.stop()
    subprocess.run(["cp", "-a", folder / "primary", folder / "standby"], check=True)
    primary.start()
    conninfo = primary.superuser_url.rpartition("/")[0] + "/?application_name=standby"
    standby = Standby(folder / "standby", settings={"primary_conninfo": conninfo})
    (folder / "standby" / "postgres" / "cluster" / "standby.signal").touch()
    standby.start()
    yield primary, standby
    for server in (standby, primary):
        server.stop()


class Place:
    """The fleet, its addresses, and the servers that they may lead to."""

    def __init__(
        self, primary: EmbeddedPostgres, standby: Standby, port: int, client: httpx.AsyncClient
    ) -> None:
        self.primary = primary
        self.standby = standby
        self.port = port
        self.client = client
        self.gates = {each: Gate(standby.role_url(each.login)) for each in LONG_LIVED}
        self.processes: list[Process] = []
        self._keys = 0

    def route_to(self, server: EmbeddedPostgres) -> None:
        """Move the name: whoever connects from now on reaches this server."""
        for process, gate in self.gates.items():
            gate.route_to(server.role_url(process.login))

    async def readiness(self) -> tuple[int, str]:
        """What /readyz says."""
        try:
            answer = await self.client.get("/readyz")
        except httpx.TransportError:
            return 0, "not there"
        return answer.status_code, answer.json()["database"]

    async def is_ready(self) -> bool:
        return await self.readiness() == (200, "current")

    async def send(self, key: str | None = None) -> int:
        """Send a webhook of its own, or that of this key; gives the answer's status."""
        self._keys += 1
        webhook = a_purchase(key or f"failover-{self._keys}")
        answer = await self.client.post(
            webhook.path, content=webhook.body, headers=dict(webhook.headers)
        )
        return answer.status_code

    async def works_on(self, server: EmbeddedPostgres) -> None:
        """See each process at work on this server, without having been started again."""
        await eventually(self.is_ready)
        assert await self.send() == 200
        connection = await asyncpg.connect(server.owner_url())
        try:
            await connection.execute("truncate fleet.ticks")
            await eventually(
                lambda: connection.fetchval(
                    "select bool_and(state <> 'pending' and attempts = 1) from fleet.inbox_events"
                )
            )
            await eventually(lambda: connection.fetchval("select count(*) > 0 from fleet.ticks"))
        finally:
            await connection.close()
        assert all(process.popen.poll() is None for process in self.processes)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A fleet whose addresses lead to the standby."""
    async with AsyncExitStack() as stack:
        valkey = EmbeddedValkey(tmp_path)
        valkey.start()
        stack.callback(valkey.stop)
        primary, standby = stack.enter_context(primary_and_standby(tmp_path))
        await migrate(primary.owner_url())
        port = free_port()
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30)
        )
        place = Place(primary, standby, port, client)
        environment = DEVELOPMENT_SECRETS | {
            "REDIS_URL": valkey.url,
            "LOG_FORMAT": "json",
            "PORT": str(port),
        }
        for program, gate in place.gates.items():
            await gate.open()
            stack.push_async_callback(gate.close)
            environment[program.address] = gate.url
        for command in (WEB, WORKER, SCHEDULER):
            process = running(tmp_path / f"{command}.log", command, **environment)
            place.processes.append(await stack.enter_async_context(process))
        yield place


async def has_arrived(primary: EmbeddedPostgres, standby: Standby) -> bool:
    """Whether the standby has all that the primary wrote."""
    there = await asyncpg.connect(standby.superuser_url)
    here = await asyncpg.connect(primary.superuser_url)
    try:
        return bool(
            await there.fetchval(
                "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
                await here.fetchval("select pg_current_wal_lsn()::text"),
            )
        )
    finally:
        await there.close()
        await here.close()


@pytest.mark.long
async def test_a_fleet_leaves_a_standby_once_its_addresses_lead_to_the_primary(
    place: Place,
) -> None:
    async def is_read_only() -> bool:
        return await place.readiness() == (503, "read_only")

    await eventually(is_read_only)
    # As many connections to it as there may be.
    for _ in range(8):
        assert await place.send() == 503
    for process in place.processes[1:]:
        await process.said("database_unreachable")
    place.route_to(place.primary)
    await place.works_on(place.primary)

    # And over to the standby, once it is a primary.
    await eventually(lambda: has_arrived(place.primary, place.standby))
    place.primary.stop()
    place.route_to(place.standby)
    connection = await asyncpg.connect(place.standby.superuser_url)
    await connection.execute("select pg_promote()")
    await connection.close()
    await place.works_on(place.standby)
    for process in place.processes:
        lines = process.text.splitlines()
        errors = [line for line in lines if '"level": "error"' in line]
        assert errors == []


@pytest.mark.long
async def test_a_lost_synchronous_standby_is_told_and_nothing_is_acknowledged_meanwhile(
    place: Place,
) -> None:
    place.route_to(place.primary)
    await place.works_on(place.primary)
    superuser = await asyncpg.connect(place.primary.superuser_url)
    await superuser.execute("alter system set synchronous_standby_names = '*'")
    await superuser.execute("select pg_reload_conf()")
    await eventually(
        lambda: superuser.fetchval("select sync_state = 'sync' from pg_stat_replication")
    )
    assert await place.send() == 200
    assert await place.is_ready()
    place.standby.stop()

    async def is_not_ready() -> bool:
        assert await place.send() == 503
        return await place.readiness() == (503, "unreachable")

    await eventually(is_not_ready)
    # Its first try left it with the primary alone, so it is acknowledged as little as then.
    assert [await place.send("tried-again") for _ in range(2)] == [503, 503]
    attention = (await read_health(place.primary.owner_url(), None)).attention
    assert [line for line in attention if "synchronous_standby_names = *" in line]

    await superuser.close()
    place.standby.start()
    # Nobody sends to a receiver that isn't ready.
    await eventually(place.is_ready)
    assert await place.send("tried-again") == 200
    await place.works_on(place.primary)
