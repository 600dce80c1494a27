"""One reading of the fleet's health from the database; for `coinfleet status` and for the console.

It asks no queue: what is known of that is handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from db import reconciliation
from db.health.status import parked_events, read_clock, read_held_counts
from db.health.vital_signs import read_vital_signs
from db.health.webs import read_webs
from db.health.workers import read_workers
from db.operating.schedules import read_pauses
from db.release.compatibility import is_current
from db.ticks import read_schedules
from schedules.timetable import TIMETABLE
from workers.cli.status.attention import judged
from workers.cli.status.checks import CheckContext, run_checks
from workers.cli.status.health import FleetHealth, Parked, Queue, by_provider, by_state
from workers.cli.status.jobs import judge_jobs
from workers.cli.status.processes import judge_workers

if TYPE_CHECKING:
    from datetime import timedelta

    from db.connections.pool import Pool

SHOWN = 3


async def read_database(
    pool: Pool, queue: Queue, *, held_after: timedelta, timeout_s: float
) -> FleetHealth:
    """Return the health of the fleet as the database knows it, with what is known of the queue.

    Raises DatabaseUnavailable, and what the database does.
    """
    now = await read_clock(pool)
    signs = await read_vital_signs(pool, timeout_s=timeout_s)
    states = by_state(signs.events)
    schedules = await read_schedules(pool)
    timetable = {schedule.name: schedule.every_s for schedule in TIMETABLE}
    health = FleetHealth(
        checked_at=now,
        schema_current=await is_current(pool),
        events=states,
        events_by_provider=by_provider(signs.events),
        oldest_pending_s=signs.oldest_pending_s,
        held=await _parked(pool, "held", count=states["held"]),
        held_by_reason=await read_held_counts(pool),
        dead=await _parked(pool, "dead", count=states["dead"]),
        frozen=signs.frozen,
        calls=signs.calls,
        histories=signs.backfills,
        scheduler_fired_at=max((each.fired_at for each in schedules), default=None),
        schedules=judge_jobs(timetable, schedules, await read_pauses(pool), now=now),
        drift=await reconciliation.read_status(pool),
        workers=await read_workers(pool),
        webs=await read_webs(pool),
        queue=queue,
    )
    found = await run_checks(CheckContext(pool=pool, now=now, held_after=held_after))
    return judged(health, found=[*judge_workers(signs.workers), *found])


async def _parked(pool: Pool, state: Literal["held", "dead"], *, count: int) -> Parked:
    return Parked(
        count=count,
        oldest=await parked_events(pool, state, oldest_first=True, limit=SHOWN),
        newest=await parked_events(pool, state, oldest_first=False, limit=SHOWN),
    )
