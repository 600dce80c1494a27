"""A drain: work that empties something, run when rung for, a few at a time, no ring lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class Drain:
    """Runs each of `works` when rung for, in turn. Belongs to one event loop.

    Each is one slot: so many may run at once. A work that raises ends its run; whoever wants the
    error reported wraps it.
    """

    def __init__(self, works: Sequence[Callable[[], Awaitable[object]]]) -> None:
        self._idle = list(works)
        self._slots = len(works)
        self._running: set[asyncio.Task[None]] = set()
        self._wanted = False
        self._closed = False

    def ring(self, *, at_once: int | None = None) -> None:
        """See to it that a look begins after this moment: now, or when one that runs has ended.

        With `at_once` it begins now only where fewer than that run.
        """
        self._wanted = True
        # Not the tasks: one that has seen its last ring may not be gone yet.
        running = self._slots - len(self._idle)
        if running < (at_once or self._slots) and not self._closed:
            # The one that has rested longest: it may have an outage to recover from.
            task = asyncio.get_running_loop().create_task(self._run(self._idle.pop(0)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def close(self, *, grace_s: float) -> None:
        """Begin no more looks, let those that run end within `grace_s`, then cancel them."""
        self._closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            # Between the test and the reset nothing else runs: a ring comes before or after both.
            while self._wanted and not self._closed:
                self._wanted = False
                await work()
        finally:
            self._idle.append(work)
