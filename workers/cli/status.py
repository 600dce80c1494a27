"""`coinfleet status`: how the fleet is, and whether a person must look."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import redis
import typer
from rich.console import Console

from db import reconciliation
from db.errors import CoinfleetError
from db.migrate import is_current
from db.pool import open_pool
from db.reaching import reaching_store
from db.roles import check_owner
from db.status import newest_parked_events, read_clock
from db.ticks import read_schedules
from db.vital_signs import read_vital_signs
from db.worker_reports import read_workers
from schedules.timetable import TIMETABLE
from tasks import TASKS
from workers.cli.status_health import (
    FleetHealth,
    Parked,
    Queue,
    by_provider,
    by_state,
    judge_jobs,
)
from workers.cli.status_report import show
from workers.operator_settings import load_operator_settings
from workers.queue import QueueBroker

if TYPE_CHECKING:
    from db.pool import Pool

# A database that takes longer than this to count is one of the things to be told.
TIMEOUT_S = 5.0
NEWEST = 3


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Tell how the fleet is: events, schedules, proofs, workers, queue, schema.

    Exit 1 when a person should look: something is dead, late, adrift, silent or out of reach.
    """
    settings = load_operator_settings()
    try:
        health = asyncio.run(read_health(str(settings.database_url), settings.redis_url))
    except CoinfleetError as error:
        sys.exit(f"coinfleet: {error}")
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(health)).decode())
    else:
        show(Console(), health)
    raise typer.Exit(code=not health.healthy)


async def read_health(database_url: str, redis_url: str | None) -> FleetHealth:
    """Ask the database, as the owner, and the queue. Raises CoinfleetError."""
    with reaching_store():
        pool = await open_pool(
            database_url, application_name="coinfleet status", min_size=0, max_size=1
        )
        try:
            await check_owner(pool, url=database_url)
            return await _ask(pool, await asyncio.to_thread(_ask_queue, redis_url))
        finally:
            pool.terminate()


async def _ask(pool: Pool, queue: Queue) -> FleetHealth:
    now = await read_clock(pool)
    signs = await read_vital_signs(pool, timeout_s=TIMEOUT_S)
    states = by_state(signs.events)
    timetable = {schedule.name: schedule.every_s for schedule in TIMETABLE}
    return FleetHealth(
        checked_at=now,
        schema_current=await is_current(pool),
        events=states,
        events_by_provider=by_provider(signs.events),
        oldest_pending_s=signs.oldest_pending_s,
        held=Parked(
            count=states["held"], newest=await newest_parked_events(pool, "held", limit=NEWEST)
        ),
        dead=Parked(
            count=states["dead"], newest=await newest_parked_events(pool, "dead", limit=NEWEST)
        ),
        schedules=judge_jobs(timetable, await read_schedules(pool), now=now),
        drift=await reconciliation.read_status(pool),
        workers=await read_workers(pool),
        queue=queue,
    )


def _ask_queue(url: str | None) -> Queue:
    if url is None:
        return Queue(reachable=None, waiting=None)
    broker = QueueBroker(url, middleware=[])
    try:
        waiting = sum(broker.waiting(queue) for queue in {task.queue for task in TASKS.values()})
    except redis.RedisError:
        return Queue(reachable=False, waiting=None)
    finally:
        broker.close()
    return Queue(reachable=True, waiting=waiting)
