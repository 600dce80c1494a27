"""Two connections at once, in an order that the test decides."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine

    from db.connections.pool import Connection

T = TypeVar("T")
# Any role may read which session waits for which.
IS_BLOCKED = "select cardinality(pg_blocking_pids($1)) > 0"


async def kill_session(observer: Connection, connection: Connection) -> None:
    """Close a connection as the death of its process does, and wait until the server notices."""
    pid = connection.get_server_pid()
    connection.terminate()
    is_gone = "select not exists (select from pg_stat_activity where pid = $1)"
    await eventually(lambda: observer.fetchval(is_gone, pid))


@asynccontextmanager
async def blocked(
    observer: Connection, connection: Connection, work: Coroutine[None, None, T]
) -> AsyncIterator[asyncio.Task[T]]:
    """Start work on a connection; the block runs once a lock has stopped the work."""
    task = asyncio.create_task(work)
    try:
        await eventually(lambda: observer.fetchval(IS_BLOCKED, connection.get_server_pid()))
        yield task
    finally:
        await asyncio.gather(task, return_exceptions=True)


async def second_waits_for_first(
    observer: Connection,
    *,
    first: Connection,
    first_work: Awaitable[T],
    second: Connection,
    second_work: Coroutine[None, None, T],
) -> tuple[T, T]:
    """Do the first work, wait until it blocks the second, commit it; return both results."""
    transaction = first.transaction()
    await transaction.start()
    first_result = await first_work
    async with blocked(observer, second, second_work) as task:
        await transaction.commit()
    return first_result, task.result()
