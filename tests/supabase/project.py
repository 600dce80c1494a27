"""A server that is prepared like a Supabase project's, as far as public facts allow.

People log in as the role `postgres`, which is no superuser there; `supabase_admin` is.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.release.schema import login_roles
from workers.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FOLDER = Path(__file__).parent
PASSWORD = "test"
SETTINGS = {"fsync": "off", "full_page_writes": "off"}
# What our embedded servers have at first, and a Supabase project hasn't.
NOT_THERE = (
    *("anon", "authenticated", "service_role"),
    *("coinfleet_owner", *login_roles()),
)

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Project:
    """A database as Supabase hands it over."""

    server_url: str
    database: str

    def url(self, login: str = "postgres") -> str:
        """Return the address at which this role logs in."""
        parts = urlsplit(self.server_url)
        address = parts.netloc.rpartition("@")[2]
        netloc = f"{login}:{PASSWORD}@{address}"
        return parts._replace(netloc=netloc, path=f"/{self.database}").geturl()

    @asynccontextmanager
    async def connected(
        self, login: str = "postgres"
    ) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """Log in as the people of the project do, or as the named role."""
        connection = await open_connection(self.url(login), application_name="test")
        try:
            yield connection
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class SupabaseServer:
    """A server with Supabase's roles; each project is a database of it."""

    url: str

    async def create(self, *, opens_public: bool = True) -> Project:
        """Make a project; one of before 2026 opens all new tables to the API by itself."""
        project = Project(self.url, f"project_{next(_numbers)}")
        async with Project(self.url, "template1").connected("supabase_admin") as administrator:
            await administrator.execute(f"create database {project.database} owner postgres")
        async with project.connected("supabase_admin") as administrator:
            await administrator.execute((FOLDER / "database.sql").read_text())
            if opens_public:
                await administrator.execute((FOLDER / "default_privileges.sql").read_text())
        return project

    async def drop(self, project: Project) -> None:
        """Drop the project's database; the roles that a release made stay with the server."""
        async with Project(self.url, "template1").connected("supabase_admin") as administrator:
            await administrator.execute(f"drop database {project.database} with (force)")


async def _make_roles(superuser_url: str) -> None:
    bootstrap = await asyncpg.connect(superuser_url)
    await bootstrap.execute(
        "create role supabase_admin login superuser createdb createrole replication bypassrls"
        f" password '{PASSWORD}'"
    )
    await bootstrap.execute("drop database coinfleet")
    await bootstrap.execute(f"drop role if exists {', '.join(NOT_THERE)}")
    await bootstrap.close()
    async with Project(superuser_url, "template1").connected("supabase_admin") as administrator:
        await administrator.execute("alter role postgres rename to bootstrap")
        await administrator.execute((FOLDER / "roles.sql").read_text())


@pytest.fixture(scope="session")
def supabase_server(server_folder: Path) -> Iterator[SupabaseServer]:
    """A server of its own, because its roles would clash with ours."""
    server = EmbeddedPostgres(server_folder / "supabase", settings=SETTINGS)
    server.start()
    asyncio.run(_make_roles(server.superuser_url))
    yield SupabaseServer(server.superuser_url)
    server.stop()


@pytest_asyncio.fixture
async def project(supabase_server: SupabaseServer) -> AsyncIterator[Project]:
    """A project that no release has seen."""
    project = await supabase_server.create()
    yield project
    await supabase_server.drop(project)
