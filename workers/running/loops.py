"""Loops: what a worker does again and again by itself, one row each.

A loop's work is an attempt (attempts.py): it never raises, and after a failure it is tried again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from workers.running.attempts import Attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What is done, and how often.

    The pause after a success is `every_s`. After each failure in a row it doubles, up to
    `pause_max_s`. Until the event `first` is set, setting it ends the pause at once.
    """

    name: str
    do: Callable[[], Awaitable[object]]
    every_s: float
    pause_max_s: float
    first: asyncio.Event | None = None


class Loops:
    """Runs any number of loops side by side, until they are cancelled."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, loops: Iterable[Loop]) -> None:
        """Begin each of them at once."""
        self._tasks += [asyncio.create_task(self._repeat(loop), name=loop.name) for loop in loops]

    async def cancel(self) -> None:
        """End them, wherever they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, loop: Loop) -> None:
        pause_s = loop.every_s
        while True:
            is_done = await self._attempts.make(loop.do(), loop.name)
            pause_s = loop.every_s if is_done else min(2 * pause_s, loop.pause_max_s)
            if loop.first is None or loop.first.is_set():
                await asyncio.sleep(pause_s)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(loop.first.wait(), pause_s)
