"""A new cluster's roles and database, made by its superuser. Embedded servers and tests only.

An operator does the same once by hand on a real server, see docs/deploying.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from db.connections.pool import Connection, open_connection
from db.errors import CoinfleetError, DatabaseRefused

# With `noinherit`, as Supabase's API roles have it.
_API_ROLES = {
    "anon": "nologin noinherit",
    "authenticated": "nologin noinherit",
    "service_role": "nologin noinherit bypassrls",
}
_LOGIN = "login nosuperuser"
# The owner creates roles and objects and is no superuser.
_OWNER_LOGIN = f"{_LOGIN} createrole bypassrls"
OWNER = "coinfleet_owner"


class SuperuserRefused(CoinfleetError):
    """The superuser's password isn't the one that this cluster was made with."""


async def set_up_cluster(
    superuser_url: str, *, database: str, passwords: Mapping[str, str]
) -> None:
    """Make the roles and the owner's database, or bring them in line; may be called again.

    `passwords` are those of the roles `coinfleet_<key>`; one key is `owner`. Raises
    SuperuserRefused and DatabaseUnavailable.
    """
    try:
        connection = await open_connection(superuser_url, application_name="coinfleet set-up")
    except DatabaseRefused as error:
        raise SuperuserRefused from error
    try:
        await _make_roles(connection, passwords)
        await _make_database(connection, database)
    finally:
        await connection.close()


async def _make_roles(connection: Connection, passwords: Mapping[str, str]) -> None:
    async with connection.transaction():
        for role, rights in _API_ROLES.items():
            await _make_role(connection, role, rights)
        logins = {f"coinfleet_{login}": password for login, password in passwords.items()}
        for role, password in logins.items():
            await _make_role(connection, role, _OWNER_LOGIN if role == OWNER else _LOGIN)
            await _run(connection, "alter role %I password %L", role, password)
        # From PostgreSQL 16 on, `createrole` alone changes no role that somebody else made.
        for role in (*_API_ROLES, *logins):
            if role != OWNER:
                await _run(connection, "grant %I to %I with admin option", role, OWNER)


async def _make_role(connection: Connection, role: str, rights: str) -> None:
    exists = await connection.fetchval("select to_regrole($1) is not null", role)
    verb = "alter" if exists else "create"
    await _run(connection, f"{verb} role %I {rights}", role)


async def _make_database(connection: Connection, database: str) -> None:
    exists = await connection.fetchval(
        "select exists (select from pg_database where datname = $1)", database
    )
    if not exists:
        await _run(connection, "create database %I owner %I template template0", database, OWNER)


async def _run(connection: Connection, template: str, *names: str) -> None:
    """Run a statement that takes no parameters, with names quoted by the server."""
    statement = await connection.fetchval(
        "select format($1, variadic $2::text[])", template, list(names)
    )
    await connection.execute(statement)
