"""A pool that goes on with the sessions it gets, be it one: a server or pooler may have no more.

While they are scarce, whoever wants one waits for one of ours to be free, and a session that nobody
here waits for is closed, so that other processes have their turn. Refuses to wait for ever.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from db.errors import NoSessionFree, is_want_of_connections

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    _Connection = asyncpg.Connection[asyncpg.Record]
    _Pool = asyncpg.Pool[asyncpg.Record]
else:
    _Connection = asyncpg.Connection
    _Pool = asyncpg.Pool

# How long after a refusal sessions count as scarce; then one more is asked for.
SCARCE_S = 10.0
# A batch or a job ends within this, or something is stuck.
WAIT_MAX_S = 30.0
# While other processes have all sessions, one is asked for so often, and for so long.
RETRY_S = 0.05
OTHERS_END_WITHIN_S = 2.0
CLOSE_TIMEOUT_S = 1.0


class Session(_Connection):
    """A connection of a pool, whose end is nobody's error: it is gone, whatever the server says."""

    async def close(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's own
    ) -> None:
        """Say goodbye, or hang up on a server that doesn't answer.

        The pool has an expired one closed by a task that nobody asks for its error. A server that
        froze and came back would cost a trace for each.
        """
        with suppress(Exception):
            await super().close(timeout=timeout)


class SharingPool(_Pool):
    """asyncpg's pool, whose users share what there is when the server refuses another session."""

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

    async def _acquire(  # the one way to a session, of `acquire` and of each statement
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
                if not is_want_of_connections(error) or loop.time() >= give_up_at:
                    raise
                await self._note_want()
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
        """Give a session back, or up while others than this process may be in want of it."""
        try:
            if self.is_scarce and not self._waiting and not connection.is_closed():
                await connection.close(timeout=CLOSE_TIMEOUT_S)
            await super().release(connection, timeout=timeout)
        finally:
            self._freed.set()

    def share_with(self, other: SharingPool) -> None:
        """Have this process's other pool give up its idle sessions when this one is in want."""
        self._siblings.append(other)
        other._siblings.append(self)

    async def _note_want(self) -> None:
        self._scarce_until = asyncio.get_running_loop().time() + SCARCE_S
        for sibling in self._siblings:
            await sibling.give_up_idle()

    async def give_up_idle(self) -> None:
        """Close what nobody uses, for somebody else who is in want."""
        self._scarce_until = asyncio.get_running_loop().time() + SCARCE_S
        # Whatever goes wrong with a session that is given up, it is gone.
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
