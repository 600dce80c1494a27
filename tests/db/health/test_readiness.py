"""Whether a fleet has started: a database that goes silent while it is asked is unavailable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from db.connections.pool import open_connection
from db.errors import DatabaseUnavailable
from db.health.readiness import read_clock
from tests.servers.gate import Gate

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database


async def test_a_database_that_freezes_while_it_is_asked_is_unavailable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(database.url())
    await gate.open()

    async def connect_and_freeze(*arguments: Any, **options: Any) -> Connection:
        connection = await open_connection(*arguments, **options)
        gate.hang()
        return connection

    monkeypatch.setattr("db.health.readiness.open_connection", connect_and_freeze)
    monkeypatch.setattr("db.health.readiness.TIMEOUT_S", 0.2)
    with pytest.raises(DatabaseUnavailable):
        await read_clock(gate.url)
    await gate.close()
