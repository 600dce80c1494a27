"""Fixtures of the database tests: the books, an audience, platforms of older generations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.release.generations import Generation
from tests.db.books import PRICE_LIST, Books
from tests.db.legacy.platforms import Look, build, upgraded
from tests.db.presence.audience import Audience
from tests.db.rolled_back import open_rolled_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

    from db.connections.pool import Connection
    from db.legacy.upgrade import Result
    from tests.clusters import Cluster, Database
    from tests.db.legacy.platforms import Finished, Platforms
    from tests.db.rolled_back import RolledBack

# A test with one of these fixtures uses a database from several sessions.
SEVERAL_SESSIONS = frozenset(
    {"connect", "database", "database_url", "signed_in"}
    | {"pool", "web_pool", "worker_pool", "scheduler_pool"}
)


@pytest_asyncio.fixture(scope="module")
async def shared_session(cluster: Cluster, template: Database) -> AsyncIterator[RolledBack]:
    """A warm session on a database that the tests of a file use one after the other."""
    database = await cluster.create(template.name)
    connection = await open_rolled_back(database.url())
    yield connection
    connection.terminate()
    await cluster.drop(database)


@pytest_asyncio.fixture
async def rolled_back(shared_session: RolledBack) -> AsyncIterator[RolledBack]:
    """The shared session, in a transaction that is rolled back."""
    async with shared_session.rolled_back():
        yield shared_session


@pytest.fixture
def db(request: pytest.FixtureRequest) -> Connection:
    """The schema owner's connection, to a database of the test's own only where it needs one."""
    alone = SEVERAL_SESSIONS.isdisjoint(request.fixturenames)
    shares = alone and request.node.get_closest_marker("commits") is None
    session: Connection = request.getfixturevalue("rolled_back" if shares else "own_session")
    return session


@pytest_asyncio.fixture
async def books(db: Connection) -> AsyncIterator[Books]:
    """The test's books; whatever it did, they are right when it ends."""
    await db.execute(PRICE_LIST)
    books = Books(db)
    yield books
    assert await books.breaches() == {}


@pytest.fixture
def audience(db: Connection) -> Audience:
    """Viewers and streams of the test's own."""
    return Audience(db)


@pytest_asyncio.fixture
async def viewer(audience: Audience) -> UUID:
    """Somebody who watches."""
    return await audience.profile()


@pytest_asyncio.fixture
async def stream(audience: Audience) -> int:
    """An available stream after its first recompute: nothing is left to do."""
    stream_id = await audience.stream()
    await audience.recompute()
    return stream_id


@pytest.fixture(scope="session")
def platforms(cluster: Cluster, template: Database) -> Iterator[Platforms]:
    """A database of each older generation, to be cloned and not changed."""
    built = {generation: asyncio.run(build(cluster, generation)) for generation in Generation}
    yield built
    for database in built.values():
        asyncio.run(cluster.drop(database))


@pytest.fixture(scope="session")
def finished(cluster: Cluster, platforms: Platforms) -> Iterator[Finished]:
    """An upgraded database of each older generation, to be read only."""

    async def make(generation: Generation) -> tuple[Database, Result]:
        database = await cluster.create(platforms[generation].name)
        return database, await upgraded(database, generation)

    made = {generation: asyncio.run(make(generation)) for generation in Generation}
    yield made
    for database, _ in made.values():
        asyncio.run(cluster.drop(database))


@pytest.fixture(
    params=[Generation.FIRST, pytest.param(Generation.SECOND, marks=pytest.mark.long)], ids=str
)
def generation(request: pytest.FixtureRequest) -> Generation:
    """Each older generation in turn."""
    found: Generation = request.param
    return found


@pytest_asyncio.fixture
async def platform(
    cluster: Cluster, platforms: Platforms, generation: Generation
) -> AsyncIterator[Database]:
    """A platform of this generation that belongs to the test."""
    database = await cluster.create(platforms[generation].name)
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture
async def first(cluster: Cluster, platforms: Platforms) -> AsyncIterator[Database]:
    """A platform of the first generation that belongs to the test."""
    database = await cluster.create(platforms[Generation.FIRST].name)
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture
async def second(cluster: Cluster, platforms: Platforms) -> AsyncIterator[Database]:
    """A platform of the second generation that belongs to the test."""
    database = await cluster.create(platforms[Generation.SECOND].name)
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture
async def look() -> AsyncIterator[Look]:
    """Connects to any database."""
    look = Look()
    yield look
    for connection in look.opened:
        connection.terminate()
