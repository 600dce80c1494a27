"""`coinfleet status`: the state of the fleet, and whether it needs a person.

The options, the exit code, and one reading of the database and the queue.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import msgspec
import typer
from msgspec import UNSET

from db.connections.explanations import explained_errors
from db.connections.pool import open_pool
from db.release.generations import check_released
from tasks import TASKS
from workers.cli.endings import NEEDS_A_PERSON, one_line_errors
from workers.cli.operator_settings import load_operator_settings
from workers.cli.status.health import FleetHealth, Queue
from workers.cli.status.reading import read_database
from workers.cli.status.report import show
from workers.cli.terminal import make_console, write
from workers.queue.opening import open_broker

# A database that needs longer than this to count is reported as unavailable.
TIMEOUT_S = 5.0
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
            return await read_database(
                pool, queue, held_after=timedelta(minutes=held_after_minutes), timeout_s=TIMEOUT_S
            )
        finally:
            pool.terminate()


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
