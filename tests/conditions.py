"""Waits for a condition, up to a deadline. Nothing here waits for time to pass."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.connections.pool import Connection

# Only a test that fails waits this long: a machine may have ten times as much to do as one thinks.
DEADLINE_S = 120.0
POLL_S = 0.02


async def eventually(condition: Callable[[], Awaitable[object]], *, poll_s: float = POLL_S) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not await condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(poll_s)


async def somebody_waits_for_a_lock(db: Connection) -> None:
    """Wait until another session of this database waits for a lock."""

    async def waits() -> bool:
        is_waiting: bool = await db.fetchval(
            "select exists (select from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock')"
        )
        return is_waiting

    await eventually(waits)
