"""Connections to PostgreSQL: pools, single connections, and how long an answer is waited for.

Each connection has a name and bounds, and nothing is left in it from its last user. This module
sends no statement of its own.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import asyncpg

from db.connections.address import Address
from db.connections.pooler import Pooling
from db.connections.session_setup import STATEMENT_TIMEOUT_MS, connect, setup_options
from db.connections.sessions import HOLD_MAX_S, Session, SharingPool, are_sessions_scarce
from db.errors import is_server_unfit

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asyncpg.pool import PoolConnectionProxy

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

T = TypeVar("T")

# asyncpg's own values: when a session is replaced, and when an idle one is closed.
MAX_QUERIES = 50_000
IDLE_MAX_S = 300.0
# Longer than the server's own timeout: only a server that is frozen or gone lets this one pass.
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

    Its users share the sessions there are if the server has no more, see sessions.py; with
    `shares_with`, this process's other pool gives up its idle ones, too. With `min_size=0` nothing
    connects yet. A connection that went silent is dropped after twice `command_timeout_s`: once for
    its statement, once for that being cancelled. The address may be a pooler's, see pooler.py.

    Raises DatabaseUnavailable when the database can't be reached, and DatabaseRefused when waiting
    won't change that (password, database name). Taking a connection of the pool later raises the
    same.
    """
    address = Address.parse(url)
    is_queued = address.pooling is Pooling.SESSION
    pool = await SharingPool(
        hold_max_s=HOLD_MAX_S if is_queued else None,
        min_size=min_size,
        max_size=max_size,
        max_queries=MAX_QUERIES,
        max_inactive_connection_lifetime=HOLD_MAX_S if is_queued else IDLE_MAX_S,
        loop=None,
        connection_class=Session,
        record_class=asyncpg.Record,
        connect=partial(connect, address, **setup_options(address, application_name, {})),
        command_timeout=command_timeout_s,
        reset=_keep_session,
    )
    if isinstance(shares_with, SharingPool):
        pool.share_with(shares_with)
    return pool


async def expire_if_unfit(pool: Pool, error: BaseException) -> None:
    """Have the pool open its connections anew if their server can't be used after this error.

    After a failover all of them lead nowhere, or to a server that only reads. Each would be found
    out at its next use, or never. The next call connects to wherever the address leads by then.
    """
    # Waiting for a free session while there are few proves nothing against the server.
    is_in_want = are_sessions_scarce(pool) and isinstance(error, TimeoutError)
    if is_server_unfit(error) and not is_in_want:
        await pool.expire_connections()


async def answered(pool: Pool, call: Awaitable[T], *, within_s: float) -> T:
    """Return the call's result, or abandon it and expire the pool if the server stays silent.

    Raises TimeoutError after `within_s`. The driver's own timeout waits as long again, and more,
    for a dangling connection to confirm that the statement was cancelled.
    """
    try:
        return await result_or_abandon(call, after_s=within_s)
    except TimeoutError as silence:
        await expire_if_unfit(pool, silence)
        if are_sessions_scarce(pool):
            raise TimeoutError(f"no session was free within {within_s:g} s") from silence
        raise


async def result_or_abandon(call: Awaitable[T], *, after_s: float) -> T:
    """Return the call's result, or raise TimeoutError after this time.

    The call is cancelled then, and not waited for: it may take its time to end.
    """
    asked = asyncio.ensure_future(call)
    try:
        await asyncio.wait({asked}, timeout=after_s)
        if asked.done():
            return asked.result()
    finally:
        # Its error is read, so that the loop doesn't report it as never retrieved.
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
    """Open one connection, with the bounds and the errors of a pool's. The caller closes it.

    `settings` override the session's own; with any, a transaction pooler raises SessionNeeded.
    """
    address = Address.parse(url)
    return await connect(
        address,
        command_timeout=command_timeout_s,
        **setup_options(address, application_name, settings),
    )


async def _keep_session(_connection: Connection) -> None:
    """Send no reset when a connection is released: that saves a round trip.

    asyncpg has rolled back an open transaction before this. Nothing else needs a reset, because our
    code leaves no session state behind: settings are `set local`, locks belong to transactions.
    """
