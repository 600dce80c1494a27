"""The inbox runner: looks for payment events when the doorbell rings, a few looks at a time.

It knows nothing of what a look does, and retries nothing: a ring during a look causes one more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class InboxRunner:
    """Runs each of `looks` when rung for, in turn. Belongs to one event loop.

    All of them may run at once, but each only once at a time. A look that raises is over, and its
    error is lost: looks are attempts (attempts.py), which log it.
    """

    def __init__(self, looks: Sequence[Callable[[], Awaitable[object]]]) -> None:
        self._idle = list(looks)
        self._slots = len(looks)
        self._running: set[asyncio.Task[None]] = set()
        self._is_rung = False
        self._is_closed = False

    def ring(self, *, at_once: int | None = None) -> None:
        """Have a look begin after this moment: now, or when one that runs has ended.

        With `at_once` it begins now only if fewer than that run.
        """
        self._is_rung = True
        # Not the number of tasks: one that has seen its last ring may not be gone yet.
        running = self._slots - len(self._idle)
        if running < (at_once or self._slots) and not self._is_closed:
            # The one that has rested longest: it may have an outage to recover from.
            task = asyncio.get_running_loop().create_task(self._run(self._idle.pop(0)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def close(self, *, grace_s: float) -> None:
        """Begin no more looks, let those that run end within `grace_s`, then cancel them."""
        self._is_closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, look: Callable[[], Awaitable[object]]) -> None:
        try:
            # Between the test and the reset nothing else runs: a ring comes before or after both.
            while self._is_rung and not self._is_closed:
                self._is_rung = False
                await look()
        finally:
            self._idle.append(look)
