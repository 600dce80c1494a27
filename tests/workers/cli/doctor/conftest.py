"""A database that the tests of a file use one after the other, each in a rolled-back session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.db.rolled_back import open_rolled_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database
    from tests.db.rolled_back import RolledBack


@pytest_asyncio.fixture(scope="module")
async def shared_database(cluster: Cluster, template: Database) -> AsyncIterator[Database]:
    """The database."""
    database = await cluster.create(template.name)
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture(scope="module")
async def shared_session(shared_database: Database) -> AsyncIterator[RolledBack]:
    """The schema owner's session on it."""
    connection = await open_rolled_back(shared_database.url())
    yield connection
    connection.terminate()


@pytest_asyncio.fixture
async def session(shared_session: RolledBack) -> AsyncIterator[Connection]:
    """The same session, in a transaction that is rolled back."""
    async with shared_session.rolled_back():
        yield shared_session
