"""Reports the state of this web process to the database every ten seconds, and reads its clock.

`coinfleet status` shows the reports: a web process whose reports stop can't store webhooks, or is
gone. Refuses to stop the process for a report that fails.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import structlog

from db.connections.pool import answered
from db.errors import describe, is_transient
from db.health.webs import WebDetail, report_web
from db.health.workers import Trouble
from workers.clock import ClockWatch
from workers.version import release_version

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from db.connections.pool import Pool
    from db.inbox.arrivals import Stored
    from workers.outage import Outage
    from workers.receiving.refusals import Refusals

log = structlog.get_logger(__name__)

REPORT_EVERY_S = 10.0
REPORT_TIMEOUT_S = 5.0
# What an outage stops here.
REPORTING = "reporting"


class WebReporter:
    """Reports one web process under a name that outlives its restarts: machine and port."""

    def __init__(
        self,
        pool: Pool,
        *,
        port: int,
        refusals: Refusals,
        note_clock_ahead: Callable[[float], None],
        outage: Outage,
        providers: Sequence[str] = (),
        purchases_from: Sequence[str] = (),
    ) -> None:
        self.web = f"{socket.gethostname()}:{port}"[:300]
        self._pool = pool
        self._refusals = refusals
        self._note_clock_ahead = note_clock_ahead
        self._outage = outage
        self._providers = tuple(providers)
        self._purchases_from = tuple(purchases_from)
        self._started = time.monotonic()
        self._clock = ClockWatch("signatures are judged by this machine's clock: set it right")
        self._trouble: tuple[str, float] | None = None
        self._task: asyncio.Task[None] | None = None
        self.is_failing = False
        """Whether the last report could not be made."""

    def start(self) -> None:
        """Begin to report every ten seconds."""
        self._task = asyncio.get_running_loop().create_task(self._keep_reporting())

    async def close(self) -> None:
        """Stop reporting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def watch(self, storing: Awaitable[Sequence[Stored]]) -> Sequence[Stored]:
        """Await `storing`, and keep its error for the reports until arrivals are stored again."""
        try:
            stored = await storing
        except Exception as error:
            self._trouble = (describe(error), time.monotonic())
            raise
        self._trouble = None
        return stored

    async def report(self) -> None:
        """Report once. Raises the error of the database."""
        trouble = self._trouble
        now = time.monotonic()
        detail = WebDetail(
            clock_ahead_s=self._clock.ahead_s,
            refused=self._refusals.in_a_row(),
            trouble=Trouble(trouble[0], now - trouble[1]) if trouble else None,
            providers=self._providers,
            purchases_from=self._purchases_from,
            version=release_version(),
        )
        reporting = report_web(self._pool, self.web, uptime_s=now - self._started, detail=detail)
        telling = answered(self._pool, reporting, within_s=REPORT_TIMEOUT_S)
        self._note_clock_ahead(await self._clock.compare(telling))

    async def _keep_reporting(self) -> None:
        is_first = True
        while True:
            try:
                await self.report()
            # `coinfleet status` sees only that the report is missing.
            except Exception as error:  # noqa: BLE001
                self.is_failing = True
                # At start the server itself logs why the database can't be used.
                if is_transient(error) and not is_first:
                    self._outage.begin(REPORTING, reason=describe(error))
                else:
                    log.debug("not_reported", error=describe(error))
            else:
                self.is_failing = False
                self._outage.end(REPORTING)
            is_first = False
            await asyncio.sleep(REPORT_EVERY_S)
