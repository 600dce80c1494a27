"""How far this machine's clock is off: what the database's clock says when a process reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

log = structlog.get_logger(__name__)

# Signatures may be 300 s old. A clock that is off by this much is set by no time service.
SKEW_LOGGED_FROM_S = 5.0


class ClockWatch:
    """Says once when this machine's clock and the database's differ, and when no longer."""

    def __init__(self, then: str) -> None:
        self._then = then
        self._is_skewed = False
        self.ahead_s: float | None = None
        """This machine's clock less the database's; None until it was measured."""

    async def compare(self, telling: Awaitable[datetime]) -> float:
        """Await the database's time; return how far this machine's clock is ahead of it."""
        asked_at = time.time()
        database_time = await telling
        # The database read its clock somewhere between the question and the answer.
        ahead_s = (asked_at + time.time()) / 2 - database_time.timestamp()
        is_skewed = abs(ahead_s) > SKEW_LOGGED_FROM_S
        if is_skewed and not self._is_skewed:
            log.warning("clock_skewed", ahead_of_database_s=round(ahead_s, 1), then=self._then)
        elif self._is_skewed and not is_skewed:
            log.info("clock_right_again", ahead_of_database_s=round(ahead_s, 1))
        self._is_skewed = is_skewed
        self.ahead_s = ahead_s
        return ahead_s
