"""Whether the database can be used: by a webhook, by a worker, by a fleet that has just started.

Asks the database, and changes nothing that others see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from db.connections.pool import Connection, Pool, expire_if_unfit, open_connection
from db.errors import (
    Fate,
    ReadOnlyServer,
    fate,
    is_server_unfit,
    is_transient,
    raising_unavailable,
    sqlstate_of,
)
from db.inbox.arrivals import store_arrivals
from db.release.compatibility import is_current, is_half_way

# A query that takes longer counts as unanswered; the supervisor asks again.
TIMEOUT_S = 2.0
READ_ONLY = "25006"


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """What has happened since a moment, by the database's clock."""

    worker_answered: bool
    scheduler_fired: bool


async def read_clock(url: str) -> datetime:
    """Return the database's time. Raises DatabaseUnavailable."""
    async with _asking(url) as connection:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        return now


async def signs_of_life(url: str, *, since: datetime) -> SignsOfLife:
    """Return whether a worker answered a doorbell and a scheduler fired a tick since then.

    Raises DatabaseUnavailable.
    """
    async with _asking(url) as connection:
        return SignsOfLife(
            worker_answered=await connection.fetchval(
                "select exists (select from fleet.worker_reports"
                " where last_doorbell_at > $1 and last_doorbell_at <= clock_timestamp())",
                since,
            ),
            scheduler_fired=await connection.fetchval(
                "select exists (select from fleet.schedules"
                " where fired_at > $1 and fired_at <= clock_timestamp())",
                since,
            ),
        )


class Readiness(StrEnum):
    """Whether a webhook would be stored, or why not."""

    CURRENT = "current"
    MIGRATION_PENDING = "migration_pending"
    READ_ONLY = "read_only"


async def ask_readiness(pool: Pool) -> Readiness:
    """Ask what a webhook needs: this release's schema, and a server that lets `web` store.

    Nothing is written: the function that stores webhooks is called with an empty list. A standby, a
    missing right or a locked inbox refuses that as well. Raises what the database does, and expires
    the pool if its server can't be used.
    """
    try:
        if not await is_current(pool):
            return Readiness.MIGRATION_PENDING
        await store_arrivals(pool, [])
    except Exception as error:
        await expire_if_unfit(pool, error)
        if sqlstate_of(error) == READ_ONLY:
            return Readiness.READ_ONLY
        raise
    return Readiness.CURRENT


async def check_commits(pool: Pool) -> None:
    """Return once the database has committed something that no reader sees and that locks nothing.

    Only a commit shows that the database waits for a standby that is gone, or for a disk.
    """
    await pool.execute("select pg_logical_emit_message(true, 'coinfleet', '')")


async def is_passing(pool: Pool, error: BaseException) -> bool:
    """Return whether the error passes by itself: an outage, or a release that is half way."""
    if is_transient(error) or is_server_unfit(error):
        return True
    if sqlstate_of(error) is None or fate(error) is not Fate.BUG:
        return False
    try:
        return await is_half_way(pool)
    # The caller has to tell the first error, not this one.
    except Exception:  # noqa: BLE001
        return False


async def check_writable(database: Pool | Connection) -> None:
    """Raise ReadOnlyServer if the server takes no writes."""
    if await database.fetchval("show transaction_read_only") == "on":
        raise ReadOnlyServer


@asynccontextmanager
async def _asking(url: str) -> AsyncIterator[Connection]:
    connection = await open_connection(
        url, application_name="coinfleet up", command_timeout_s=TIMEOUT_S
    )
    try:
        with raising_unavailable():
            yield connection
    finally:
        # Not closed: a frozen server doesn't answer that.
        connection.terminate()
