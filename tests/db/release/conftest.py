"""A database that a release has just brought up, for whatever somebody changes in it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.release.runner import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.clusters import Cluster, Database


@pytest_asyncio.fixture(scope="module")
async def released_once(cluster: Cluster, template: Database) -> AsyncIterator[Database]:
    """A database in which a release has found that nothing is lost, to be cloned."""
    database = await cluster.create(template.name)
    assert (await migrate(database.url())).steps == ()
    yield database
    await cluster.drop(database)


@pytest.fixture
def origin(request: pytest.FixtureRequest, template: Database) -> Database:
    """What the test's database is cloned from."""
    if "released" not in request.fixturenames:
        return template
    found: Database = request.getfixturevalue("released_once")
    return found


@pytest_asyncio.fixture
async def database(cluster: Cluster, origin: Database) -> AsyncIterator[Database]:
    """The test's own database, at this release's schema."""
    database = await cluster.create(origin.name)
    yield database
    await cluster.drop(database)


@pytest.fixture
def released(database: Database) -> Database:
    """The test's database; a release has just found that nothing is lost."""
    return database
