"""What /readyz answers, found at most once per second however many callers there are.

Uses connections of its own, so that probes take none from webhooks. Changes nothing, and judges
only whether a webhook could be stored.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from db.connections.pool import answered
from db.connections.sessions import are_sessions_scarce
from db.errors import describe
from db.health.readiness import Readiness, ask_readiness, check_commits

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.connections.pool import Pool
    from workers.outage import Outage
    from workers.queue.opening import QueueProbe
    from workers.queue.probe import QueueState

# A load balancer asks every few seconds; its answer may be so old.
FOUND_AGE_MAX_S = 1.0
PROBE_TIMEOUT_S = 2.0
# What an outage stops here.
PROBING = "probing"

DatabaseState: TypeAlias = Readiness | Literal["unreachable"]


@dataclass(frozen=True, slots=True)
class Found:
    """The states of the database and the queue when they were last asked."""

    database: DatabaseState
    queue: QueueState

    @property
    def is_ready(self) -> bool:
        """Whether a webhook would be stored; without the queue it still would."""
        return self.database is Readiness.CURRENT


class Probes:
    """Asks the database and the queue on behalf of all callers, one round at a time.

    `is_in_doubt` returns whether the last insert or report failed. Then the database must also
    commit something: it may answer questions and yet hang at each commit. `stored_at` returns when
    an insert was last committed, by the loop's clock: one that was while a question waited for a
    session proves more than an answer.
    """

    def __init__(
        self,
        pool: Pool,
        queue: QueueProbe,
        *,
        outage: Outage,
        is_in_doubt: Callable[[], bool],
        stored_at: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._outage = outage
        self._is_in_doubt = is_in_doubt
        self._stored_at = stored_at
        self._asking = asyncio.Lock()
        self._found: Found | None = None
        self._found_at = float("-inf")

    async def find(self) -> Found:
        """Return the states of now, or those of at most one second ago."""
        async with self._asking:
            if self._found is None or time.monotonic() - self._found_at >= FOUND_AGE_MAX_S:
                database, queue = await asyncio.gather(self._probe_database(), self._queue.ask())
                self._found = Found(database, queue)
                self._found_at = time.monotonic()
            return self._found

    async def _probe_database(self) -> DatabaseState:
        """Ask the database; log once what keeps it from answering."""
        began_at = asyncio.get_running_loop().time()
        try:
            found = await answered(self._pool, self._ask_database(), within_s=PROBE_TIMEOUT_S)
        # Whatever the error is, nothing can be stored: even if it is a wrong address or password.
        except Exception as error:  # noqa: BLE001
            if are_sessions_scarce(self._pool) and self._stored_at() >= began_at:
                return Readiness.CURRENT
            self._outage.begin(PROBING, reason=describe(error))
            return "unreachable"
        self._outage.end(PROBING)
        return found

    async def _ask_database(self) -> Readiness:
        found = await ask_readiness(self._pool)
        if found is Readiness.CURRENT and self._is_in_doubt():
            await check_commits(self._pool)
        return found
