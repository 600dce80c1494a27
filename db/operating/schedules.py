"""What people do with schedules: pause one, resume it, have it run now; each with a note of why.

When jobs are due is in schedules/; how a worker does one is in db/ticks.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, assert_never

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool


class Verb(StrEnum):
    """What a person may want of a schedule."""

    PAUSE = "pause"
    RESUME = "resume"
    RUN = "run"


Done = Literal[
    "paused", "paused_already", "resumed", "not_paused", "asked", "running", "never_fired"
]
# Nothing was changed by these.
REFUSALS: frozenset[Done] = frozenset({"paused_already", "not_paused", "running", "never_fired"})


@dataclass(frozen=True, slots=True)
class SchedulePause:
    """A job that nobody begins until a person resumes it."""

    job: str
    paused_at: datetime
    paused_by: str
    reason: str


async def do(
    database: Pool | Connection, verb: Verb, job: str, *, typed_by: str, reason: str
) -> Done:
    """Pause or resume the job, or have it run now; return what came of it.

    What is done and the note of who wanted it are one transaction.
    """
    match verb:
        case Verb.PAUSE:
            query = "select fleet.pause_schedule($1, $2, $3)"
        case Verb.RESUME:
            query = "select fleet.resume_schedule($1, $2, $3)"
        case Verb.RUN:
            query = "select fleet.run_schedule($1, $2, $3)"
        case _:
            assert_never(verb)
    done: Done = await database.fetchval(query, job, typed_by, reason)
    return done


async def read_pauses(database: Pool | Connection) -> list[SchedulePause]:
    """Return each paused job, by name."""
    rows = await database.fetch(
        "select job, paused_at, paused_by, reason from fleet.schedule_pauses order by job"
    )
    return [SchedulePause(*row) for row in rows]
