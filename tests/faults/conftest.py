"""Fixtures of the fault tests: servers that may be killed, frozen and emptied, and their fleet.

They replace the session's servers, which other tests need in working order.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.clusters import Cluster
from tests.faults.fleets import Fleet
from workers.embedded import EmbeddedPostgres, EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.clusters import Database


class RestartablePostgres(EmbeddedPostgres):
    """A server that can be started again with the roles that the tests have made."""

    def set_up(self) -> None:
        """Change no passwords: Cluster.make_template sets them once."""


@pytest.fixture(scope="package")
def postgres(server_folder: Path) -> Iterator[RestartablePostgres]:
    """PostgreSQL with the settings of `make run`, which keep what was committed."""
    server = RestartablePostgres(server_folder / "faults")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def valkey_server(server_folder: Path) -> Iterator[EmbeddedValkey]:
    """The queue's server."""
    server = EmbeddedValkey(server_folder / "faults")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def cluster(postgres: RestartablePostgres) -> Iterator[Cluster]:
    """The cluster of these tests alone."""
    yield (cluster := Cluster(postgres.superuser_url))
    cluster.close()


@pytest.fixture(scope="package")
def template(cluster: Cluster) -> Database:
    """The migrated database of these tests; it is deleted with the server."""
    return asyncio.run(cluster.make_template())


@pytest.fixture(scope="package")
def valkey(valkey_server: EmbeddedValkey) -> str:
    """The queue's address."""
    return valkey_server.url


@pytest_asyncio.fixture
async def fleet(tmp_path: Path, database: Database, redis_url: str) -> AsyncIterator[Fleet]:
    """A fleet without processes. Those that the test starts are killed at its end."""
    async with AsyncExitStack() as stack:
        yield Fleet(tmp_path, database, redis_url, stack)
