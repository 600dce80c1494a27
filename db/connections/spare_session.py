"""A statement on a free session, for a caller that holds another session already.

If there is only one session, the caller would wait for itself. So this waits for a moment only, and
returns whether the statement was done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from db.errors import is_server_unfit, is_transient

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from db.connections.pool import Pool

# How long a caller waits for a second session to be free, and how long for its answer.
FREE_WITHIN_S = 0.05
DONE_WITHIN_S = 0.5
# How long a session may take to open. It is kept, though the caller did not wait for it.
SPARE_TIMEOUT_S = 5.0


async def execute_on_spare(
    pool: Pool, statement: str, *arguments: object, free_within_s: float = FREE_WITHIN_S
) -> bool | None:
    """Execute a statement on a free session. Return True if it was done, False if it was not begun.

    None means that it was begun and given up, so that it may be done or not: a transaction pooler
    may have had no free session for it. A session that opens too late is kept in the pool.
    """
    if pool.get_idle_size():
        return await _execute_on_idle(pool, statement, *arguments)
    begun: list[PoolConnectionProxy[asyncpg.Record]] = []
    is_free = asyncio.Event()
    is_too_late = False

    async def execute() -> bool:
        async with pool.acquire(timeout=SPARE_TIMEOUT_S) as session:
            if is_too_late:
                return False
            begun.append(session)
            is_free.set()
            await session.execute(statement, *arguments)
            return True

    task = asyncio.create_task(execute())
    becoming_free = asyncio.create_task(is_free.wait())
    try:
        await asyncio.wait(
            {task, becoming_free}, timeout=free_within_s, return_when=asyncio.FIRST_COMPLETED
        )
        if begun and not task.done():
            await asyncio.wait({task}, timeout=DONE_WITHIN_S)
        if task.done():
            return task.result()
    except Exception as error:
        if not (is_transient(error) or is_server_unfit(error)):
            raise
    finally:
        is_too_late = True
        becoming_free.cancel()
        if not task.done():
            # Its error is read, so that the loop doesn't report it as never retrieved.
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            for session in begun:
                session.terminate()
    return None if begun else False


async def _execute_on_idle(pool: Pool, statement: str, *arguments: object) -> bool | None:
    """Do the same on an idle session: the usual case, without a task of its own."""
    is_begun = False
    try:
        async with asyncio.timeout(DONE_WITHIN_S), pool.acquire() as session:
            is_begun = True
            try:
                await session.execute(statement, *arguments)
            except asyncio.CancelledError:
                # Not closed: the server would have to confirm the cancellation first.
                session.terminate()
                raise
    except Exception as error:
        if not (is_transient(error) or is_server_unfit(error)):
            raise
        return None if is_begun else False
    return True
