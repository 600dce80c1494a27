"""The PostgreSQL cluster of a test session, and databases cloned from a migrated template."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from db.connections.pool import open_connection
from db.release.cluster import set_up_cluster
from db.release.runner import migrate
from workers.processes import PROCESSES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection

# Who logs in: a process of PROCESSES by its name, `superuser`, `owner` or `authenticator`.
Login: TypeAlias = str
_LONG_LIVED = [process for process in PROCESSES.values() if process.is_long_lived]
# The logins of the long-lived processes.
LOGINS = tuple(process.login for process in _LONG_LIVED)
# The logins of people who decide what is held; the console, which speaks for people, is a process.
DECIDERS = ("operator",)

PASSWORD = "test"
# A password is hashed once instead of 4,096 times, by both sides of each of thousands of sessions.
FEWER_ROUNDS = "options=-c%20scram_iterations%3D1"
FEWER_ROUNDS_SINCE = (16,)
# Supabase's API logs in as this role, which has no rights, and takes on an API role for a request.
AUTHENTICATOR = f"""
do $$
begin
    if to_regrole('authenticator') is null then
        create role authenticator login noinherit password '{PASSWORD}';
        grant anon, authenticated, service_role to authenticator;
    end if;
end
$$
"""
COPY_SETTINGS = """
do $$
declare
    v_one record;
begin
    for v_one in
        select s.setrole::regrole as role, split_part(c.setting, '=', 1) as name,
            substr(c.setting, strpos(c.setting, '=') + 1) as value
        from pg_db_role_setting as s
        join pg_database as d on d.oid = s.setdatabase and d.datname = '{template}'
        cross join unnest(s.setconfig) as c (setting)
        where s.setrole <> 0
    loop
        execute format(
            'alter role %s in database {database} set %s = %L', v_one.role, v_one.name, v_one.value
        );
    end loop;
end
$$
"""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """A database that belongs to one test."""

    cluster: Cluster
    name: str

    def url(self, login: Login = "owner") -> str:
        """Return the address at which this role logs in."""
        return self.cluster.url(login, self.name)

    def addresses(self) -> dict[str, str]:
        """Return the settings by which the long-lived processes find this database."""
        return {process.address: self.url(process.login) for process in _LONG_LIVED}


class Administrator:
    """A superuser's session on a thread of its own, so that it outlives the event loops of tests.

    To open a session for each database would take as long as to make the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def execute(self, *statements: str) -> None:
        """Execute the statements one by one."""
        running = asyncio.run_coroutine_threadsafe(self._execute(statements), self._loop)
        await asyncio.wrap_future(running)

    def close(self) -> None:
        """Close the session; the next statement opens one."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _execute(self, statements: tuple[str, ...]) -> None:
        async with self._turn:
            if self._connection is None or self._connection.is_closed():
                self._connection = await open_connection(self._url, application_name="tests")
            for statement in statements:
                await self._connection.execute(statement)

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL server that only this test session uses."""

    superuser_url: str
    _administrators: list[Administrator] = field(default_factory=list, compare=False, repr=False)

    def url(self, login: Login, database: str) -> str:
        """Return the address at which this role logs in to a database."""
        parts = urlsplit(self.superuser_url)
        account, _, address = parts.netloc.rpartition("@")
        match login:
            case "superuser":
                pass
            case "authenticator":
                account = f"authenticator:{PASSWORD}"
            case _:
                account = f"coinfleet_{login}:{PASSWORD}"
        return parts._replace(netloc=f"{account}@{address}", path=f"/{database}").geturl()

    async def make_template(self) -> Database:
        """Set up the cluster, and migrate a database that those of the tests are cloned from."""
        template = self._next_database()
        passwords = dict.fromkeys(("owner", *LOGINS, *DECIDERS), PASSWORD)
        async with self._session() as administrator:
            # One session after the other, if several share the server: the roles belong to all.
            await administrator.execute("select pg_advisory_lock(1)")
            url = self.superuser_url
            if administrator.get_server_version() >= FEWER_ROUNDS_SINCE:
                url += ("&" if "?" in url else "?") + FEWER_ROUNDS
                await administrator.execute("set scram_iterations = 1")
            await set_up_cluster(url, database=template.name, passwords=passwords)
            await administrator.execute(AUTHENTICATOR)
        await migrate(template.url())
        return template

    async def create(self, template: str = "template0", *, copy_settings: bool = True) -> Database:
        """Create a database for the owner; an empty one unless a template is named.

        The settings that roles have in the template are kept by the cluster: they are copied too.
        """
        database = self._next_database()
        # To copy the files takes two thirds of the time that writing them to the log takes.
        creation = f"create database {database.name} template {template} strategy file_copy"
        statements = [f"{creation} owner coinfleet_owner"]
        if template != "template0" and copy_settings:
            statements.append(COPY_SETTINGS.format(template=template, database=database.name))
        await self._administrator().execute(*statements)
        return database

    async def drop(self, database: Database) -> None:
        """Drop a database, and end the sessions that are still connected to it."""
        await self._administrator().execute(f"drop database if exists {database.name} with (force)")

    def close(self) -> None:
        """Close what this object opened; the server goes on."""
        for administrator in self._administrators:
            administrator.close()
        self._administrators.clear()

    def _next_database(self) -> Database:
        return Database(self, f"test_{os.getpid()}_{next(_numbers)}")

    def _administrator(self) -> Administrator:
        if not self._administrators:
            self._administrators.append(Administrator(self.superuser_url))
        return self._administrators[0]

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        connection = await open_connection(self.superuser_url, application_name="tests")
        try:
            yield connection
        finally:
            await connection.close()
