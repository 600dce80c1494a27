"""An attempt at a piece of work: the edge of a worker, where each error ends in the log.

It decides whether an error is an outage or a defect. It repeats nothing: loops and messages do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from db.connections.pool import expire_if_unfit
from db.connections.sessions import are_sessions_scarce
from db.errors import describe
from db.health.readiness import is_passing
from workers.running.interruptions import Interruptions

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from db.connections.pool import Pool
    from tasks.context import Meter
    from workers.outage import Outage

log = structlog.get_logger(__name__)


class Attempts:
    """Makes attempts at the work of one process, whose meter and outage they share."""

    def __init__(self, pool: Pool, meter: Meter, outage: Outage) -> None:
        self._pool = pool
        self._meter = meter
        self._interruptions = Interruptions(outage)
        self._is_scarce = False

    async def make(self, doing: Awaitable[object], work: str) -> bool:
        """Await it and return whether it succeeded; an error is logged, and once while it lasts."""
        try:
            await doing
        # The edge of the process: the next attempt may succeed, whatever the error is.
        except Exception as error:  # noqa: BLE001
            self._meter.note_trouble(work, describe(error))
            await expire_if_unfit(self._pool, error)
            if await is_passing(self._pool, error):
                self._interruptions.note_outage(work, error, batches=self._meter.batches)
            else:
                self._interruptions.note_defect(work, error)
            return False
        self._meter.forget_trouble(work)
        self._interruptions.note_success(work, batches=self._meter.batches)
        self._note_scarcity()
        return True

    def _note_scarcity(self) -> None:
        """Log once that the database has few sessions for us, and once that it has more."""
        if self._is_scarce == are_sessions_scarce(self._pool):
            return
        self._is_scarce = not self._is_scarce
        if self._is_scarce:
            log.warning("sessions_scarce", then="work goes on, slowly: raise the server's limit")
        else:
            log.info("sessions_enough")
