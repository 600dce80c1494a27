"""A pool that goes on with the sessions it gets, even with one: a server may have no more for it.

While sessions are scarce, a caller waits until one of this pool is free. A session for which no
caller waits is closed, so that other processes have their turn. No caller waits for ever.

A server refuses a session that is one too many. A session pooler lets it wait, so a first statement
that stays silent counts as such a refusal. And who waits there is seen by nobody: so a session of
such a pooler is given back after a while, whether sessions are known to be scarce or not.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionHolder

from db.errors import NoSessionFree, is_out_of_sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncpg.pool import PoolConnectionProxy

    _Connection = asyncpg.Connection[asyncpg.Record]
    _Pool = asyncpg.Pool[asyncpg.Record]
    Connect = Callable[..., Awaitable[_Connection]]
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
# Of a session pooler: how long a first statement may stay silent, and how long once sessions are
# known to be scarce: who leaves the pooler's queue loses a place in it.
FREE_WITHIN_S = 1.0
QUEUED_MAX_S = 5.0
# How long a session of it is kept, used or idle, and how long while callers of this pool wait.
HOLD_MAX_S = 5.0
TURN_S = 0.5


class Session(_Connection):
    """A connection of a pool. Closing it raises nothing: it is gone, whatever the server says."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened_at = asyncio.get_running_loop().time()

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

    def __init__(self, *, connect: Connect, hold_max_s: float | None, **options: Any) -> None:
        """`hold_max_s` is how long a session is kept; None, if nobody waits for it unseen."""
        super().__init__(connect=self._open_session, **options)
        self._open = connect
        self._hold_max_s = hold_max_s
        self._scarce_until = float("-inf")
        self._freed = asyncio.Event()
        self._waiting = 0
        self._siblings: list[SharingPool] = []

    @property
    def is_scarce(self) -> bool:
        """Whether the server has lately refused a session."""
        return asyncio.get_running_loop().time() < self._scarce_until

    async def _open_session(self, *arguments: Any, **options: Any) -> _Connection:
        free_within_s = QUEUED_MAX_S if self.is_scarce else FREE_WITHIN_S
        return await self._open(*arguments, free_within_s=free_within_s, **options)

    async def _acquire(  # called by `acquire` and by each statement
        self,
        timeout: float | None,  # noqa: ASYNC109
    ) -> PoolConnectionProxy[asyncpg.Record]:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        give_up_at = began_at + (WAIT_MAX_S if timeout is None else timeout)
        while True:
            if self.is_scarce and self.get_size() and not self.get_idle_size():
                await self._wait_until_one_is_freed(give_up_at)
                continue
            if self.is_scarce:
                self._offer_connected_first()
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
            # None, if it was cut off and so released before.
            session: Session | None = connection._con  # type: ignore[attr-defined]  # noqa: SLF001
            if session and not session.is_closed() and self._is_to_be_given_back(session):
                await session.close(timeout=CLOSE_TIMEOUT_S)
            await super().release(connection, timeout=timeout)
        finally:
            self._freed.set()

    def _is_to_be_given_back(self, session: Session) -> bool:
        is_scarce = self.is_scarce
        if is_scarce and not self._waiting:
            return True
        if self._hold_max_s is None:
            return False
        held_s = asyncio.get_running_loop().time() - session.opened_at
        return held_s > (TURN_S if is_scarce else self._hold_max_s)

    def _offer_connected_first(self) -> None:
        """Put the sessions that are open before places where one would have to be opened.

        A place at which none could be opened is the next to be offered, though another is idle.
        """
        queue: asyncio.LifoQueue[PoolConnectionHolder] = self._queue  # type: ignore[attr-defined]
        holders = [queue.get_nowait() for _ in range(queue.qsize())]
        for holder in sorted(holders, key=PoolConnectionHolder.is_connected):
            queue.put_nowait(holder)

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
                self._offer_connected_first()
                session = await super()._acquire(CLOSE_TIMEOUT_S)  # type: ignore[misc]
                await self.release(session)

    async def _wait_until_one_is_freed(self, give_up_at: float) -> None:
        """Return when a caller has ended, or when it is time to ask the server for one more."""
        self._freed.clear()
        self._waiting += 1
        try:
            async with asyncio.timeout_at(min(give_up_at, self._scarce_until)):
                await self._freed.wait()
        except TimeoutError:
            if asyncio.get_running_loop().time() >= give_up_at:
                raise NoSessionFree from None
        finally:
            self._waiting -= 1


def are_sessions_scarce(pool: _Pool) -> bool:
    """Return whether the pool's server has lately refused it a session."""
    return isinstance(pool, SharingPool) and pool.is_scarce
