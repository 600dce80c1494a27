"""Backfills: how far each provider's history has been read, and the events that were found there.

A page is stored, counted and left behind in one transaction. Nothing here asks a provider.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, NewType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from db.connections.pool import Connection, Pool
    from db.inbox.arrivals import Arrival

BackfillId = NewType("BackfillId", int)

# As fleet.store_events refuses it.
PAYLOAD_BYTES_MAX = 262_144


class KnownOrder(NamedTuple):
    """An order of a store by which we know a purchase."""

    bought_at: datetime
    purchase_id: int
    order_id: str
    store_app: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """A reading of a provider's history that this process goes on with, from `cursor` if set.

    What was made from `lost_from` to `from_at` was not read in time and is no longer listed.
    """

    id: BackfillId
    attempt: int
    from_at: datetime
    to_at: datetime
    cursor: str | None
    lost_from: datetime | None
    is_asked_for: bool = False
    """By a person, and not the timetable's."""


class PageCounts(NamedTuple):
    """Events of a page: stored now; of these, so old that a webhook is lost; stored before."""

    found: int
    missed: int
    seen: int


async def begin_backfill(
    database: Pool | Connection,
    provider: str,
    *,
    worker: str,
    overlap: timedelta,
    keeps: timedelta,
    since: datetime | None = None,
) -> Backfill | None:
    """Begin to read a history, or go on where the last reading was cut; who had it stops.

    Without `since` it is the timetable's, from the watermark less `overlap`; with it, one that was
    asked for. None if another process begins it at this moment.
    """
    row = await database.fetchrow(
        "select id, attempt, from_at, to_at, cursor, lost_from"
        " from fleet.begin_backfill($1, $2, $3, $4, $5)",
        provider,
        worker,
        overlap,
        keeps,
        since,
    )
    return replace(Backfill(*row), is_asked_for=since is not None) if row else None


async def store_found(
    database: Pool | Connection,
    backfill: Backfill,
    arrivals: Sequence[Arrival],
    made_ats: Sequence[datetime | None],
    *,
    cursor: str | None,
    reaches: datetime,
) -> PageCounts | None:
    """Store a page of arrivals, made at `made_ats`, each once, and how far it reaches.

    One without a time has no webhook that could be lost.

    No payload may be longer than PAYLOAD_BYTES_MAX. None if somebody else reads this history now:
    then nothing is stored. Raises what the database raises.
    """
    row = await database.fetchrow(
        "select found, missed, seen"
        " from fleet.store_found_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        backfill.id,
        backfill.attempt,
        [arrival.provider_event_id for arrival in arrivals],
        [arrival.event_type for arrival in arrivals],
        [arrival.payload for arrival in arrivals],
        [arrival.payload_sha256 for arrival in arrivals],
        [arrival.state for arrival in arrivals],
        [arrival.reason for arrival in arrivals],
        list(made_ats),
        cursor,
        reaches,
    )
    return PageCounts(*row) if row else None


async def finish_backfill(database: Pool | Connection, backfill: Backfill) -> bool:
    """End a pass, all of which was stored; False if somebody else reads this history now."""
    is_ours: bool = await database.fetchval(
        "select fleet.finish_backfill($1, $2)", backfill.id, backfill.attempt
    )
    return is_ours


async def fail_backfill(
    database: Pool | Connection, backfill: Backfill, *, error: str, from_the_beginning: bool
) -> float | None:
    """Record why it could not be read on; return for how many seconds it has been failing.

    None if somebody else reads this history now.
    """
    failing_s: float | None = await database.fetchval(
        "select fleet.fail_backfill($1, $2, $3, $4)",
        backfill.id,
        backfill.attempt,
        error,
        from_the_beginning,
    )
    return failing_s


async def find_unseen(
    database: Pool | Connection, provider: str, provider_event_ids: Sequence[str]
) -> set[str]:
    """Return those of these events that are not in the inbox; as the schema's owner."""
    rows = await database.fetch(
        "select distinct k.key from unnest($2::text[]) as k (key)"
        " where not exists (select from fleet.inbox_events as e"
        " where e.provider = $1 and e.provider_event_id = k.key)",
        provider,
        list(provider_event_ids),
    )
    return {row["key"] for row in rows}


async def read_found_types(database: Pool | Connection, backfill: Backfill) -> dict[str, int]:
    """Return how many events of each type a reading found, the most first; as the owner."""
    rows = await database.fetch(
        "select event_type, count(*) as events from fleet.found_events where backfill_id = $1"
        " group by event_type order by count(*) desc, event_type",
        backfill.id,
    )
    return {row["event_type"]: row["events"] for row in rows}


async def read_known_orders(
    database: Pool | Connection, after: KnownOrder | None, limit: int
) -> list[KnownOrder]:
    """Return up to `limit` orders of the last 60 days, the oldest first: those after this one."""
    rows = await database.fetch(
        "select bought_at, purchase_id, order_id, store_app"
        " from fleet.known_orders(coalesce($1::timestamptz, '-infinity'), $2, $3)",
        after.bought_at if after else None,
        after.purchase_id if after else 0,
        limit,
    )
    return [KnownOrder(*row) for row in rows]
