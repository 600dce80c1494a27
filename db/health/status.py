"""What `coinfleet status` reads beside the vital signs: which events need a person.

Reads only; it changes no event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from db.connections.pool import Pool


_PARKED = (
    "select id, provider, provider_event_id, event_type, reason, received_at, last_error"
    " from fleet.inbox_events where state = $1"
)
_OLDEST = f"{_PARKED} order by id limit $2"
_NEWEST = f"{_PARKED} order by id desc limit $2"


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that only a person can end; `last_error` is set if it failed."""

    id: int
    provider: str
    provider_event_id: str
    event_type: str
    reason: str
    received_at: datetime
    last_error: str | None


@dataclass(frozen=True, slots=True)
class HeldCount:
    """Payments held for one reason until a person decides; `worth_usd` is None if unknown.

    `oldest_id` is the event of the oldest, None if a direct call recorded it.
    """

    reason: str
    events: int
    worth_usd: Decimal | None
    oldest_id: int | None
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class DoubleGrant:
    """Purchases that were granted for the same payment, and not closed by a person yet."""

    payment_id: int
    purchase_ids: list[int]
    coins: int


async def read_clock(pool: Pool) -> datetime:
    """Return the database's time; all other times here are by the same clock."""
    now: datetime = await pool.fetchval("select clock_timestamp()")
    return now


async def parked_events(
    pool: Pool, state: Literal["held", "dead"], *, oldest_first: bool, limit: int
) -> list[ParkedEvent]:
    """Return the oldest or the newest events in this state."""
    rows = await pool.fetch(_OLDEST if oldest_first else _NEWEST, state, limit)
    return [ParkedEvent(*row) for row in rows]


async def read_held_counts(pool: Pool) -> list[HeldCount]:
    """Return what waits for a person's decision, by reason, the longest held first."""
    return [HeldCount(*row) for row in await pool.fetch("select * from fleet.held_counts()")]


async def read_double_grants(pool: Pool) -> list[DoubleGrant]:
    """Return the payments that were granted more than once, the oldest first."""
    rows = await pool.fetch("select payment_id, purchase_ids, coins from fleet.double_grants()")
    return [DoubleGrant(row[0], list(row[1]), int(row[2])) for row in rows]


@dataclass(frozen=True, slots=True)
class PassingFailure:
    """A pending event that fails for a cause that should pass, and has not passed yet."""

    event_id: int
    provider: str
    failing_s: float
    setbacks: int
    sqlstate: str | None
    error: str | None


async def read_passing_failures(pool: Pool, *, longer_than: timedelta) -> list[PassingFailure]:
    """Return up to 20 such events, the one that has failed longest first."""
    rows = await pool.fetch("select * from fleet.passing_failures($1)", longer_than)
    return [PassingFailure(*row) for row in rows]


async def awaited_standbys(pool: Pool) -> str | None:
    """Return the standbys that commits wait for, by the server's setting, if none is connected.

    A role that may not read the state of standbys sees only that there are some. Then the result is
    None.
    """
    names: str | None = await pool.fetchval(
        """
        select nullif(current_setting('synchronous_standby_names'), '')
        where not pg_is_in_recovery() and not exists (
            select from pg_catalog.pg_stat_replication as r
            where r.sync_state is null or r.sync_state in ('sync', 'quorum')
        )
        """
    )
    return names


async def is_read_only(pool: Pool) -> bool:
    """Return whether this server takes no writes: a standby, or one with that setting."""
    setting: str = await pool.fetchval("select current_setting('transaction_read_only')")
    return setting == "on"
