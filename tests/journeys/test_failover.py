"""A fleet whose addresses lead to a streaming standby, its primary, the promoted standby."""

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
        """Write nothing: a standby can't."""


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


class FailoverFleet:
    """A fleet, its addresses, and the servers that they may lead to."""

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
        """Lead all new connections to this server, as a changed DNS name does."""
        for process, gate in self.gates.items():
            gate.route_to(server.role_url(process.login))

    async def readiness(self) -> tuple[int, str]:
        """Return the status of /readyz, and what it says of the database."""
        try:
            answer = await self.client.get("/readyz")
        except httpx.TransportError:
            return 0, "not there"
        return answer.status_code, answer.json()["database"]

    async def is_ready(self) -> bool:
        return await self.readiness() == (200, "current")

    async def send(self, key: str | None = None) -> int:
        """Send a new webhook, or the one with this key; return the status of the answer."""
        self._keys += 1
        webhook = a_purchase(key or f"failover-{self._keys}")
        answer = await self.client.post(
            webhook.path, content=webhook.body, headers=dict(webhook.headers)
        )
        return answer.status_code

    async def works_on(self, server: EmbeddedPostgres) -> None:
        """Wait until each process works on this server; none may have been started again."""
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
async def fleet(tmp_path: Path) -> AsyncIterator[FailoverFleet]:
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
        fleet = FailoverFleet(primary, standby, port, client)
        environment = DEVELOPMENT_SECRETS | {
            "REDIS_URL": valkey.url,
            "LOG_FORMAT": "json",
            "PORT": str(port),
        }
        for program, gate in fleet.gates.items():
            await gate.open()
            stack.push_async_callback(gate.close)
            environment[program.address] = gate.url
        for command in (WEB, WORKER, SCHEDULER):
            process = running(tmp_path / f"{command}.log", command, **environment)
            fleet.processes.append(await stack.enter_async_context(process))
        yield fleet


async def has_arrived(primary: EmbeddedPostgres, standby: Standby) -> bool:
    """Return whether the standby has all that the primary has written."""
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
    fleet: FailoverFleet,
) -> None:
    async def is_read_only() -> bool:
        return await fleet.readiness() == (503, "read_only")

    await eventually(is_read_only)
    # Enough webhooks that each connection of the pool meets the standby.
    for _ in range(8):
        assert await fleet.send() == 503
    for process in fleet.processes[1:]:
        await process.said("database_unreachable")
    fleet.route_to(fleet.primary)
    await fleet.works_on(fleet.primary)

    # Then to the standby, after it was promoted.
    await eventually(lambda: has_arrived(fleet.primary, fleet.standby))
    fleet.primary.stop()
    fleet.route_to(fleet.standby)
    connection = await asyncpg.connect(fleet.standby.superuser_url)
    await connection.execute("select pg_promote()")
    await connection.close()
    await fleet.works_on(fleet.standby)
    for process in fleet.processes:
        lines = process.text.splitlines()
        errors = [line for line in lines if '"level": "error"' in line]
        assert errors == []


@pytest.mark.long
async def test_without_its_synchronous_standby_nothing_is_acknowledged_and_status_says_so(
    fleet: FailoverFleet,
) -> None:
    fleet.route_to(fleet.primary)
    await fleet.works_on(fleet.primary)
    superuser = await asyncpg.connect(fleet.primary.superuser_url)
    await superuser.execute("alter system set synchronous_standby_names = '*'")
    await superuser.execute("select pg_reload_conf()")
    await eventually(
        lambda: superuser.fetchval("select sync_state = 'sync' from pg_stat_replication")
    )
    assert await fleet.send() == 200
    assert await fleet.is_ready()
    fleet.standby.stop()

    async def is_not_ready() -> bool:
        assert await fleet.send() == 503
        return await fleet.readiness() == (503, "unreachable")

    await eventually(is_not_ready)
    # The first try left its row on the primary alone, so no further try may be acknowledged.
    assert [await fleet.send("tried-again") for _ in range(2)] == [503, 503]
    attention = (await read_health(fleet.primary.owner_url(), None)).attention
    assert [line for line in attention if "synchronous_standby_names = *" in line]

    await superuser.close()
    fleet.standby.start()
    # As a load balancer does, send nothing before /readyz is good.
    await eventually(fleet.is_ready)
    assert await fleet.send("tried-again") == 200
    await fleet.works_on(fleet.primary)
