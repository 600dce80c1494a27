"""Whether a fleet has come to life, as the database saw it. For the supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from db.errors import StoreUnavailable, is_transient
from db.pool import Connection, open_connection

# A question that takes longer counts as no answer; it is asked again.
TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """What happened since a moment by the database's clock."""

    worker_answered: bool
    scheduler_fired: bool


async def read_clock(url: str) -> datetime:
    """The database's time. Raises StoreUnavailable."""
    async with _asking(url) as connection:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        return now


async def signs_of_life(url: str, *, since: datetime) -> SignsOfLife:
    """Whether a worker answered a doorbell and a scheduler fired a tick since then.

    Raises StoreUnavailable.
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


@asynccontextmanager
async def _asking(url: str) -> AsyncIterator[Connection]:
    connection = await open_connection(
        url, application_name="coinfleet up", command_timeout_s=TIMEOUT_S
    )
    try:
        yield connection
    except Exception as error:
        if is_transient(error):
            raise StoreUnavailable from error
        raise
    finally:
        # A frozen server takes no goodbye.
        connection.terminate()
