"""A database that may lose commits: what was acknowledged to a sender survives its crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from db.connections.pool import open_connection
from tests.faults.shop import deliver, sign_up
from tests.journeys.fleet_run import free_port

if TYPE_CHECKING:
    from tests.conftest import Connect
    from tests.faults.fleets import Fleet
    from workers.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

STORED = "select count(*) from fleet.inbox_events where provider_event_id = any($1)"


async def test_acknowledged_events_survive_a_crash_of_a_database_without_durability(
    fleet: Fleet, postgres: EmbeddedPostgres, connect: Connect
) -> None:
    name = fleet.database.name
    superuser = await open_connection(fleet.database.url("superuser"), application_name="test")
    # The longest delay: what isn't on disk when its commit is answered is lost with the server.
    await superuser.execute("alter system set wal_writer_delay = '10s'")
    await superuser.execute("select pg_reload_conf()")
    await superuser.execute(f"alter database {name} set synchronous_commit = off")
    # The release sets the roles' setting for its own database, and this is a copy: here only the
    # functions make commits durable.
    purchases = await sign_up(superuser, 30)
    port = free_port()
    try:
        await fleet.start_web(port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await deliver(client, purchases)
        postgres.kill()
        postgres.start()
        stored = await (await connect()).fetchval(STORED, [each.event_id for each in purchases])
        assert stored == len(purchases)
    finally:
        superuser.terminate()
        restored = await open_connection(fleet.database.url("superuser"), application_name="test")
        await restored.execute("alter system reset wal_writer_delay")
        await restored.close()
