"""Connections to PostgreSQL, each with a name, bounds and nothing left over from its last user."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg

from db.connections.address import Address
from db.connections.pooler import Pooling, SessionNeeded
from db.connections.servers import CONNECT_TIMEOUT_S as CONNECT_TIMEOUT_S  # noqa: PLC0414 - others' bound, too
from db.connections.servers import connect_to
from db.connections.sessions import Session, SharingPool, are_sessions_scarce
from db.errors import is_server_unfit, raising_unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from asyncpg.pool import PoolConnectionProxy

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

T = TypeVar("T")

# A batch of 500 takes well under a second; what takes 30 will not end well.
STATEMENT_TIMEOUT_MS = 30_000
# Row locks are held for one batch; five seconds of waiting means something is stuck.
LOCK_TIMEOUT_MS = 5_000
# A frozen process gives its row locks back after this. Who holds a row on purpose for longer
# says so with `set local idle_in_transaction_session_timeout`.
IDLE_IN_TRANSACTION_MS = 60_000
# How soon a server process that waits for a lock notices that its client was killed.
CLIENT_CHECK_MS = 2_000
# asyncpg's own values: when a session is replaced, and when an idle one is closed.
MAX_QUERIES = 50_000
IDLE_MAX_S = 300.0
# Past the server's own timeout: only a server that is frozen or gone is met by this one.
COMMAND_TIMEOUT_S = STATEMENT_TIMEOUT_MS / 1000 + 5.0


async def open_pool(
    url: str,
    *,
    application_name: str,
    max_size: int,
    min_size: int = 1,
    command_timeout_s: float = COMMAND_TIMEOUT_S,
    shares_with: Pool | None = None,
) -> Pool:
    """Open a pool that belongs to the running loop.

    Its users share what sessions there are if the server has no more, see
    db/connections/sessions.py; with those of `shares_with`, this process's other pool, too.
    With `min_size=0` nothing connects yet. A connection that went silent is dropped after twice
    `command_timeout_s`: once for its statement, once for that being cancelled.

    Raises DatabaseUnavailable when the database can't be reached, and DatabaseRefused when waiting
    won't change that (password, database name). Taking a connection of the pool later raises the
    same.
    The address may be a pooler's, see db/connections/pooler.py.
    """
    address = Address.parse(url)
    pool = await SharingPool(
        min_size=min_size,
        max_size=max_size,
        max_queries=MAX_QUERIES,
        max_inactive_connection_lifetime=IDLE_MAX_S,
        loop=None,
        connection_class=Session,
        record_class=asyncpg.Record,
        connect=partial(_connect, address, **_manners(address, application_name, {})),
        command_timeout=command_timeout_s,
        reset=_keep_session,
    )
    if isinstance(shares_with, SharingPool):
        pool.share_with(shares_with)
    return pool


async def expire_if_unfit(pool: Pool, error: BaseException) -> None:
    """Have the pool open its connections anew if the error says that their server serves nobody.

    A failover leaves all of them dangling, or at a server that only reads: each would be found out
    at its next use, or never. Whatever the address leads to now is reached by the next call.
    """
    # Who waits for a free session while there are few says nothing against the server.
    is_in_want = are_sessions_scarce(pool) and isinstance(error, TimeoutError)
    if is_server_unfit(error) and not is_in_want:
        await pool.expire_connections()


async def answered(pool: Pool, call: Awaitable[T], *, within_s: float) -> T:
    """Return the call's result, or abandon a server that goes silent, and expire the pool.

    Raises TimeoutError when it is due: the driver's own would wait as long again, and more, for a
    dangling connection to confirm that the statement was cancelled.
    """
    try:
        return await turning_away(call, after_s=within_s)
    except TimeoutError as silence:
        await expire_if_unfit(pool, silence)
        if are_sessions_scarce(pool):
            raise TimeoutError(f"no session was free within {within_s:g} s") from silence
        raise


async def turning_away(call: Awaitable[T], *, after_s: float) -> T:
    """Give the call's result, or raise TimeoutError when it is due.

    The call is cancelled then, and not waited for: it may take its time to end.
    """
    asked = asyncio.ensure_future(call)
    try:
        await asyncio.wait({asked}, timeout=after_s)
        if asked.done():
            return asked.result()
    finally:
        # Asked for its error, so that the loop doesn't report it as never retrieved.
        asked.add_done_callback(lambda late: late.cancelled() or late.exception())
        asked.cancel()
    raise TimeoutError(f"no answer within {after_s:g} s")


async def open_connection(
    url: str,
    *,
    application_name: str,
    command_timeout_s: float | None = COMMAND_TIMEOUT_S,
    **settings: str,
) -> asyncpg.Connection[asyncpg.Record]:
    """Open one connection, bounded and failing like a pool's; `settings` override the session's.

    The caller closes it. Raises SessionNeeded when there are settings and no session to set.
    """
    address = Address.parse(url)
    return await _connect(
        address,
        command_timeout=command_timeout_s,
        **_manners(address, application_name, settings),
    )


def session_settings(application_name: str) -> dict[str, str]:
    """Give the settings each of our sessions starts with."""
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        "client_connection_check_interval": str(CLIENT_CHECK_MS),
        # Our statements run for microseconds to milliseconds; compiling one costs more.
        "jit": "off",
    }


def _manners(
    address: Address, application_name: str, settings: Mapping[str, str]
) -> dict[str, Any]:
    """Say how to speak to a server, or to a pooler before it: options of `_connect`."""
    name = address.application_name or application_name
    all_settings = session_settings(name) | dict(settings)
    # The one setting that every pooler takes from a client that connects, and what it was told of.
    at_start = {"application_name": name}
    if address.options is not None:
        at_start["options"] = address.options
    match address.pooling:
        case Pooling.NONE:
            return {"settings": all_settings | at_start}
        case Pooling.SESSION:
            return {"settings": at_start, "then": all_settings}
        case Pooling.TRANSACTION:
            if settings:
                raise SessionNeeded
            # Without a cache no statement has a name, and one is parsed and run in one go.
            return {"settings": at_start, "statement_cache_size": 0}


_SET = "select set_config(n, v, false) from unnest($1::text[], $2::text[]) as s (n, v)"


async def _connect(
    address: Address,
    _dsn: None = None,
    *,
    settings: Mapping[str, str],
    then: Mapping[str, str] | None = None,
    **options: Any,
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect; `settings` go with the start of the session, `then` are made by a statement."""
    connection = await connect_to(address, settings=settings, **options)
    if then:
        try:
            with raising_unavailable(place=address):
                await connection.execute(_SET, [*then], [*then.values()])
        except BaseException:
            connection.terminate()
            raise
    return connection


async def _keep_session(_connection: Connection) -> None:
    """Save a round trip a release: an open transaction is rolled back by asyncpg before this.

    Nothing else needs a reset, for no code of ours leaves session state behind: settings are
    `set local`, locks belong to transactions.
    """
