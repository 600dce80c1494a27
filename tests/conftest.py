"""Fixtures: real servers for the session, a database of its own for each test.

The servers are started here, unless COINFLEET_TEST_DATABASE_URL (of a superuser) and
COINFLEET_TEST_REDIS_URL name others: their roles get new passwords, and the queue is emptied.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio
import redis

from db.connections.pool import open_connection, open_pool
from tests.clusters import Cluster, Database
from workers.embedded import EmbeddedPostgres, EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from tests.clusters import Login

pytest_plugins = ["tests.supabase.project", "tests.provoking", "tests.spread"]

# The servers are deleted at the end, so their data need not survive a crash of the machine.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
# A test's database is mostly gone before autovacuum would be of use, and no test finds it at work.
SETTINGS = NOT_DURABLE | {"autovacuum_naptime": "1h"}
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of our own is made there
# The write-ahead log may take a gigabyte, a test's database some megabytes.
ROOM_BYTES = 2 * 1024**3


class Connect(Protocol):
    """Opens connections that are closed with the test."""

    async def __call__(self, login: Login = "owner") -> Connection:
        """Log in to the test's database."""
        ...


class SignIn(Protocol):
    """Opens connections like those of Supabase's API, closed with the test."""

    async def __call__(
        self, profile_id: UUID | None = None, *, role: str = "authenticated"
    ) -> Connection:
        """Switch to an API role, with a token whose subject is this profile."""
        ...


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage after the tests are collected, and never again among what was made by then.

    There are millions of objects, each of them needed to the end, in each process of `-n`: to look
    through them takes a third of the time of collecting.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all parameters but the first of a test that is `long_but_first` as long."""
    seen = set()
    for item in items:
        if item.get_closest_marker("long_but_first"):
            test = item.nodeid.partition("[")[0]
            if test in seen:
                item.add_marker(pytest.mark.long)
            seen.add(test)


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the session's servers: in memory, if there is room.

    A database is cloned for each test, and that takes a tenth of the time there.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield tmp_path_factory.mktemp("servers")
        return
    for leftover in MEMORY.glob("coinfleet-tests-*"):
        if not Path("/proc", leftover.name.rpartition("-")[2]).exists():
            shutil.rmtree(leftover, ignore_errors=True)
    folder = MEMORY / f"coinfleet-tests-{os.getpid()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(server_folder: Path) -> Iterator[Cluster]:
    """The session's PostgreSQL server. A test that stops a server starts one of its own."""
    if url := os.environ.get("COINFLEET_TEST_DATABASE_URL"):
        yield (cluster := Cluster(url))
        cluster.close()
        return
    server = EmbeddedPostgres(server_folder, settings=SETTINGS)
    server.start()
    yield (cluster := Cluster(server.superuser_url))
    cluster.close()
    server.stop()


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> Iterator[Database]:
    """A migrated database that those of the tests are cloned from."""
    database = asyncio.run(cluster.make_template())
    yield database
    asyncio.run(cluster.drop(database))


@pytest_asyncio.fixture
async def database(cluster: Cluster, template: Database) -> AsyncIterator[Database]:
    """The test's own database, at this release's schema."""
    database = await cluster.create(template.name)
    yield database
    await cluster.drop(database)


@pytest_asyncio.fixture
async def empty_database(cluster: Cluster, template: Database) -> AsyncIterator[Database]:
    """A database that no release has seen; the cluster's roles exist."""
    database = await cluster.create()
    yield database
    await cluster.drop(database)


@pytest.fixture
def database_url(database: Database) -> str:
    """The address at which the schema's owner logs in to the test's database."""
    return database.url()


@pytest_asyncio.fixture
async def connect(database: Database) -> AsyncIterator[Connect]:
    """Opens connections to the test's database, for each role that logs in."""
    opened: list[Connection] = []

    async def connect(login: Login = "owner") -> Connection:
        connection = await open_connection(database.url(login), application_name=f"test {login}")
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.terminate()


@pytest_asyncio.fixture
async def own_session(connect: Connect) -> Connection:
    """The schema owner's connection to the test's own database."""
    return await connect("owner")


@pytest.fixture
def db(own_session: Connection) -> Connection:
    """The schema owner's connection."""
    return own_session


@pytest.fixture
def signed_in(connect: Connect) -> SignIn:
    """Opens connections like those of the API, for a profile or for nobody."""

    async def sign_in(profile_id: UUID | None = None, *, role: str = "authenticated") -> Connection:
        connection = await connect("authenticator")
        claims = {"role": role} | ({"sub": str(profile_id)} if profile_id else {})
        await connection.execute(
            "select set_config('role', $1, false), set_config('request.jwt.claims', $2, false)",
            role,
            json.dumps(claims),
        )
        return connection

    return sign_in


@asynccontextmanager
async def _pool(database: Database, login: Login) -> AsyncIterator[Pool]:
    pool = await open_pool(database.url(login), application_name=f"test {login}", max_size=8)
    try:
        yield pool
    finally:
        pool.terminate()


@pytest_asyncio.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """The schema owner's pool."""
    async with _pool(database, "owner") as pool:
        yield pool


@pytest_asyncio.fixture
async def web_pool(database: Database) -> AsyncIterator[Pool]:
    """A web process's pool."""
    async with _pool(database, "web") as pool:
        yield pool


@pytest_asyncio.fixture
async def worker_pool(database: Database) -> AsyncIterator[Pool]:
    """A worker process's pool."""
    async with _pool(database, "worker") as pool:
        yield pool


@pytest_asyncio.fixture
async def scheduler_pool(database: Database) -> AsyncIterator[Pool]:
    """A scheduler process's pool."""
    async with _pool(database, "scheduler") as pool:
        yield pool


@pytest.fixture(scope="session")
def valkey(server_folder: Path) -> Iterator[str]:
    """The address of the session's queue. A test that stops a server starts one of its own."""
    if url := os.environ.get("COINFLEET_TEST_REDIS_URL"):
        yield url
        return
    server = EmbeddedValkey(server_folder)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(valkey: str) -> str:
    """The address of the queue, which is empty."""
    with redis.Redis.from_url(valkey) as client:
        client.flushall()
    return valkey
