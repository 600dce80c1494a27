"""A pool that goes on with the sessions it gets, even with one: a server may have no more for it.

While sessions are scarce, a caller waits until one of this pool is free. A session for which no
caller waits is closed, so that other processes have their turn. No caller waits for ever.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from db.errors import NoSessionFree, is_out_of_sessions

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    _Connection = asyncpg.Connection[asyncpg.Record]
    _Pool = asyncpg.Pool[asyncpg.Record]
else:
    _Connection = asyncpg.Connection
    _Pool = asyncpg.Pool

# How long after a refusal sessions count as scarce; after that one more is opened.
SCARCE_S = 10.0
# A batch or a job ends within this, or something is stuck.
WAIT_MAX_S = 30.0
# While other processes have all sessions: how often one is asked for, and for how long.
RETRY_S = 0.05
OTHERS_END_WITHIN_S = 2.0
CLOSE_TIMEOUT_S = 1.0


class Session(_Connection):
    """A connection of a pool. Closing it raises nothing: it is gone, whatever the server says."""

    async def close(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's own
    ) -> None:
        """Close the session, or cut it off if the server doesn't answer.

        The pool closes an expired session in a task whose error nobody reads. For a server that
        froze and came back each of them would leave a trace in the log.
        """
        with suppress(Exception):
            await super().close(timeout=timeout)


class SharingPool(_Pool):
    """asyncpg's pool, but its users share the sessions it has when the server refuses one more."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._scarce_until = float("-inf")
        self._freed = asyncio.Event()
        self._waiting = 0
        self._siblings: list[SharingPool] = []

    @property
    def is_scarce(self) -> bool:
        """Whether the server has lately refused a session."""
        return asyncio.get_running_loop().time() < self._scarce_until

    async def _acquire(  # called by `acquire` and by each statement
        self,
        timeout: float | None,  # noqa: ASYNC109
    ) -> PoolConnectionProxy[asyncpg.Record]:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        give_up_at = began_at + (WAIT_MAX_S if timeout is None else timeout)
        while True:
            if self.is_scarce and self.get_size() and not self.get_idle_size():
                await self._wait_until_one_is_freed(give_up_at - loop.time())
                continue
            try:
                session: PoolConnectionProxy[asyncpg.Record] = await super()._acquire(timeout)  # type: ignore[misc]
            except Exception as error:
                if not is_out_of_sessions(error) or loop.time() >= give_up_at:
                    raise
                await self._note_scarcity()
                if not self.get_size():
                    if loop.time() - began_at > OTHERS_END_WITHIN_S:
                        raise
                    await asyncio.sleep(RETRY_S)
            else:
                return session

    async def release(
        self,
        connection: PoolConnectionProxy[asyncpg.Record],
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        """Return a session to the pool, or close it if another process may be waiting for one."""
        try:
            if self.is_scarce and not self._waiting and not connection.is_closed():
                await connection.close(timeout=CLOSE_TIMEOUT_S)
            await super().release(connection, timeout=timeout)
        finally:
            self._freed.set()

    def share_with(self, other: SharingPool) -> None:
        """Have this process's other pool close its idle sessions when this one gets none."""
        self._siblings.append(other)
        other._siblings.append(self)

    async def _note_scarcity(self) -> None:
        self._scarce_until = asyncio.get_running_loop().time() + SCARCE_S
        for sibling in self._siblings:
            await sibling.close_idle()

    async def close_idle(self) -> None:
        """Close the sessions that are idle, so that another pool or process can have them."""
        self._scarce_until = asyncio.get_running_loop().time() + SCARCE_S
        # Whatever goes wrong with a session that is closed, it is gone.
        with suppress(Exception):
            while self.get_idle_size():
                session = await super()._acquire(CLOSE_TIMEOUT_S)  # type: ignore[misc]
                await self.release(session)

    async def _wait_until_one_is_freed(self, within_s: float) -> None:
        self._freed.clear()
        self._waiting += 1
        try:
            async with asyncio.timeout(within_s):
                await self._freed.wait()
        except TimeoutError:
            raise NoSessionFree from None
        finally:
            self._waiting -= 1


def are_sessions_scarce(pool: _Pool) -> bool:
    """Return whether the pool's server has lately refused it a session."""
    return isinstance(pool, SharingPool) and pool.is_scarce
