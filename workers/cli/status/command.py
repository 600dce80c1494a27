"""`coinfleet status`: the state of the fleet, and whether it needs a person.

The options, the exit code, and one reading of the database and the queue.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from msgspec import UNSET

from db import reconciliation
from db.connections.explanations import explained_errors
from db.connections.pool import open_pool
from db.health.status import parked_events, read_clock, read_held_counts
from db.health.vital_signs import read_vital_signs
from db.health.webs import read_webs
from db.health.workers import read_workers
from db.release.compatibility import is_current
from db.release.generations import check_released
from db.ticks import read_schedules
from schedules.timetable import TIMETABLE
from tasks import TASKS
from workers.cli.endings import NEEDS_A_PERSON, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.status.attention import judged
from workers.cli.status.checks import CheckContext, run_checks
from workers.cli.status.health import (
    FleetHealth,
    Parked,
    Queue,
    by_provider,
    by_state,
)
from workers.cli.status.jobs import judge_jobs
from workers.cli.status.processes import judge_workers
from workers.cli.status.report import show
from workers.cli.terminal import make_console, write
from workers.queue.opening import open_broker

if TYPE_CHECKING:
    from db.connections.pool import Pool

# A database that needs longer than this to count is reported as unavailable.
TIMEOUT_S = 5.0
SHOWN = 3
HELD_AFTER_MINUTES = 30


def command(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Show the state of the fleet: events, schedules, proofs, processes, queue, schema.

    Exit 0 if all is well, 1 if something needs a person (dead events, money held for too long, late
    jobs, violations in the books, silent processes, no queue), 2 if the database can't be asked.
    """
    settings = load_operator_settings()
    with one_line_errors():
        health = asyncio.run(
            read_health(
                str(settings.database_url),
                settings.queue_url,
                held_after_minutes=settings.status_held_after_minutes,
            )
        )
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(health)).decode())
    else:
        show(make_console(), health)
    raise typer.Exit(code=0 if health.healthy else NEEDS_A_PERSON)


async def read_health(
    database_url: str, redis_url: str | None, *, held_after_minutes: int = HELD_AFTER_MINUTES
) -> FleetHealth:
    """Read the database, as the schema's owner, and the queue. Raises CoinfleetError."""
    with explained_errors():
        pool = await open_pool(
            database_url,
            application_name="coinfleet status",
            min_size=0,
            max_size=1,
            command_timeout_s=TIMEOUT_S,
        )
        try:
            await check_released(pool, url=database_url)
            queue = await asyncio.to_thread(_read_queue, redis_url)
            return await _read(pool, queue, timedelta(minutes=held_after_minutes))
        finally:
            pool.terminate()


async def _read(pool: Pool, queue: Queue, held_after: timedelta) -> FleetHealth:
    now = await read_clock(pool)
    signs = await read_vital_signs(pool, timeout_s=TIMEOUT_S)
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
        schedules=judge_jobs(timetable, schedules, now=now),
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


def _read_queue(url: str | None) -> Queue:
    if url is None:
        return Queue(reachable=None, waiting=None)
    broker = open_broker(url, middleware=[])
    try:
        refused = broker.write_refusal()
        waiting = sum(broker.waiting(queue) for queue in {task.queue for task in TASKS})
    except broker.refusals as error:
        reason = broker.reason_of(error)
        return Queue(reachable=True, waiting=None, refusal=f"{broker.server}: {reason}")
    except broker.troubles as error:
        reason = broker.reason_of(error)
        return Queue(reachable=False, waiting=None, outage=f"{broker.server}: {reason}")
    finally:
        broker.close()
    refusal = UNSET if refused is None else f"{broker.server}: {refused}"
    return Queue(reachable=True, waiting=waiting, refusal=refusal)
