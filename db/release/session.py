"""The session in which a release or an upgrade works on the schema, and the release's lock."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from db.connections.pool import open_connection
from db.connections.pooler import PoolerUndeclared
from db.connections.roles import check_owner
from db.connections.servers import CONNECT_TIMEOUT_S
from db.errors import raising_unavailable
from db.release.rights import UnfitOwner
from db.release.schema import SchemaProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection

OLDEST_SERVER = 150_000
# The name of the advisory lock that a release holds while it works on the schema.
RELEASE_LOCK = "coinfleet.release"
# Sessions that queue behind a waiting step wait no longer than this.
LOCK_TIMEOUT_MS = 1_500
# An index on a large table takes its time; another release may be building one.
STEP_TIMEOUT_MS = 15 * 60_000


class ServerTooOld(SchemaProblem):
    """The server is older than PostgreSQL 15."""


class AnotherReleaseRuns(SchemaProblem):
    """Another release has been at work on this database for a quarter of an hour."""


@asynccontextmanager
async def owner_session(
    url: str, *, application_name: str = "coinfleet release"
) -> AsyncIterator[Connection]:
    """Open a session of the schema's owner, closed with the block.

    Its search path is empty, its statements and lock waits are bounded. Raises ServerTooOld,
    UnfitOwner, PoolerUndeclared and DatabaseUnavailable, which a lost connection within the block
    becomes too.
    """
    connection = await open_connection(
        url,
        application_name=application_name,
        command_timeout_s=None,
        search_path="",
        check_function_bodies="off",
        client_min_messages="warning",
        standard_conforming_strings="on",
        lock_timeout=str(LOCK_TIMEOUT_MS),
        statement_timeout=str(STEP_TIMEOUT_MS),
    )
    try:
        with raising_unavailable():
            await _check_server(connection)
            await check_owner(connection, url=url, is_released=False)
            yield connection
    except UnfitOwner as refusal:
        raise refusal.at(url) from refusal
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def _check_server(connection: Connection) -> None:
    version, is_set = await connection.fetchrow(
        "select current_setting('server_version_num')::int,"
        " current_setting('check_function_bodies') = 'off'"
    ) or (0, False)
    if version < OLDEST_SERVER:
        raise ServerTooOld
    # A server applies the settings of a new connection; a pooler may drop them silently.
    if not is_set:
        raise PoolerUndeclared


async def take_release_lock(connection: Connection) -> None:
    """Wait until no other release runs here; the lock is the session's and ends with it.

    Raises AnotherReleaseRuns after STEP_TIMEOUT_MS.
    """
    try:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = {STEP_TIMEOUT_MS}")
            await connection.execute(
                "select pg_advisory_lock(hashtextextended($1, 0))", RELEASE_LOCK
            )
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
        raise AnotherReleaseRuns from error
