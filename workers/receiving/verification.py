"""Slow verification, on a few threads, so that the event loop goes on with other requests.

Owns the threads. Refuses to let more requests wait for them, or to let one wait for longer, than
its bounds allow.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tasks.providers.signed import NotVerified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from db.inbox.arrivals import Arrival
    from tasks.providers.provider import Provider

__all__ = ["NotVerified", "Verification"]

# Two, so that one long request does not stop all others; the event loop needs the same cores.
THREADS = 2
# A slow verification takes milliseconds, so these are done long before the time limit; with the
# largest bodies they hold 16 MB.
WAITING_MAX = 64
# As long as a webhook waits for the database: providers hang up after ten seconds or more.
TIMEOUT_S = 5.0


class Verification:
    """Runs `Provider.verify` on threads; belongs to one event loop."""

    def __init__(self, *, waiting_max: int = WAITING_MAX, timeout_s: float = TIMEOUT_S) -> None:
        self._waiting_max = waiting_max
        self._timeout_s = timeout_s
        self._waiting = 0
        self._free = asyncio.Semaphore(THREADS)
        # A thread starts with its first work: if all providers are quick, there is none.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="verification")

    async def verify(
        self, provider: Provider, body: bytes, headers: Mapping[bytes, bytes], *, now_s: float
    ) -> Arrival:
        """Return what the provider's `verify` returns. Raises NotAuthentic or NotVerified."""
        return await self.run(partial(provider.verify, body, headers, now_s=now_s))

    async def run(self, check: Callable[[], Arrival]) -> Arrival:
        """Return what `check` returns, which runs on a thread. Raises its error, or NotVerified.

        A thread cannot be stopped: a call that takes too long keeps its thread until it ends, and
        what it returns is dropped.
        """
        if self._waiting >= self._waiting_max:
            raise NotVerified
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                # The executor would queue without a bound.
                await self._free.acquire()
                call = self._threads.submit(check)
                call.add_done_callback(partial(self._release, asyncio.get_running_loop()))
                return await asyncio.wrap_future(call)
        except TimeoutError as error:
            raise NotVerified from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Start no further call; those that run end by themselves. Waits for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _release(self, loop: asyncio.AbstractEventLoop, _call: Future[Arrival]) -> None:
        """Let the next request have the thread. Runs on the thread."""
        # The loop may be closed by now: then nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._free.release)
