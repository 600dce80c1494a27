"""Two connections at once, with the order of events in the test's hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine

    from db.connections.pool import Connection

T = TypeVar("T")


async def kill_session(observer: Connection, connection: Connection) -> None:
    """Kill a connection as its process's death does, and wait until the server has noticed."""
    pid = connection.get_server_pid()
    connection.terminate()
    is_gone = "select not exists (select from pg_stat_activity where pid = $1)"
    await eventually(lambda: observer.fetchval(is_gone, pid))


@asynccontextmanager
async def blocked(
    observer: Connection, connection: Connection, work: Coroutine[None, None, T]
) -> AsyncIterator[asyncio.Task[T]]:
    """Start work on a connection and go on once it is blocked by a lock."""
    task = asyncio.create_task(work)
    # Any role may ask who waits for whom.
    is_blocked = "select cardinality(pg_blocking_pids($1)) > 0"
    try:
        await eventually(lambda: observer.fetchval(is_blocked, connection.get_server_pid()))
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
    """Do the first work, see the second blocked by it, commit the first; gives both results."""
    transaction = first.transaction()
    await transaction.start()
    first_result = await first_work
    async with blocked(observer, second, second_work) as task:
        await transaction.commit()
    return first_result, task.result()
