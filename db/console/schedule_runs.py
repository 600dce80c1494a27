"""The newest runs of a job, for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool

RUNS = 20
RUNS_QUERY = """
    select t.enqueued_at, t.started_at, t.finished_at, t.attempts, t.outcome, t.last_error,
        t.missed, t.asked_at is not null
    from fleet.ticks as t
    where t.job = $1
    order by t.tick desc
    limit 20
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a job; `outcome` is None until it is finished, `asked` if a person wanted it."""

    enqueued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    outcome: str | None
    last_error: str | None
    missed: int
    asked: bool


async def list_runs(database: Pool | Connection, job: str) -> list[Run]:
    """Return up to RUNS of them, the newest first."""
    return [Run(*row) for row in await database.fetch(RUNS_QUERY, job)]
