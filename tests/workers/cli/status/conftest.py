"""A database whose fleet works: what the scheduler and a worker write there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from schedules.timetable import TIMETABLE

if TYPE_CHECKING:
    from db.connections.pool import Connection

# What a scheduler and a worker write if all is well.
A_FLEET_AT_WORK = """
with job as (
    insert into fleet.schedules (job, cadence_s, offset_s)
    select name, every_s, 0 from unnest($1::text[], $2::integer[]) as j (name, every_s)
    returning job
),
reported as (
    insert into fleet.worker_reports (worker, started_at, events)
    values ('host:1', clock_timestamp(), 7)
)
insert into fleet.ticks (job, tick, started_at, finished_at, attempts, outcome)
select job, 1, clock_timestamp(), clock_timestamp(), 1, 'done' from job
"""


@pytest_asyncio.fixture
async def at_work(db: Connection) -> None:
    """A database whose fleet works."""
    await db.execute(
        A_FLEET_AT_WORK,
        [schedule.name for schedule in TIMETABLE],
        [schedule.every_s for schedule in TIMETABLE],
    )
