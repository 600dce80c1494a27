"""A list of events for a person: filtered, the newest first, in pages of bounded cost.

A page goes on from an id, so that no event is shown twice or left out while others arrive. It looks
at LOOKED_AT_MAX rows at most, of an index of the state if there is one, and says how far it came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.console.paging import (
    BEYOND_ALL,
    LOOKED_AT_MAX,
    PAGE_ROWS,
    Listing,
    Page,
    first_id_from,
    read_page,
)
from db.operating.matching import INDEXED_STATES

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool


_COLUMNS = (
    "e.id, e.provider, e.provider_event_id, e.event_type, e.state, e.reason, e.attempts,"
    " e.received_at, e.processed_at, e.last_error"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; None stands for any. `since` is included, `until` is not."""

    state: str | None = None
    provider: str | None = None
    event_type: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event of the list, without its payload."""

    id: int
    provider: str
    provider_event_id: str
    event_type: str
    state: str
    reason: str | None
    attempts: int
    received_at: datetime
    processed_at: datetime | None
    last_error: str | None


async def list_events(
    database: Pool | Connection, wanted: EventFilter, *, before: int | None = None
) -> Page[ListedEvent]:
    """Return the newest events that match and have a smaller id than `before`."""
    start = BEYOND_ALL if before is None else before
    if wanted.until is not None:
        start = min(start, await first_id_from(database, "fleet.inbox_events", wanted.until))
    return await read_page(
        database,
        Listing(ListedEvent, page_query(wanted.state), bound_query(wanted.state)),
        start,
        wanted.provider,
        wanted.event_type,
        wanted.reason,
        wanted.since,
        wanted.until,
        wanted.state,
        since=wanted.since,
    )


async def read_event(
    database: Pool | Connection, event_id: int
) -> tuple[ListedEvent, bool, str | None] | None:
    """Return an event, whether its payload is kept, and the id of its trace if it has one.

    None if there is no such event.
    """
    row = await database.fetchrow(
        f"select {_COLUMNS}, fleet.has_payload(e.id),"  # noqa: S608 - constants of this module
        " split_part(e.traceparent, '-', 2)"
        " from fleet.inbox_events as e where e.id = $1",
        event_id,
    )
    return None if row is None else (ListedEvent(*row[:-2]), row[-2], row[-1])


async def list_providers(database: Pool | Connection) -> list[str]:
    """Return the providers that ever told us anything, in order."""
    rows = await database.fetch(
        "select distinct c.provider from fleet.event_counts() as c order by c.provider"
    )
    return [row[0] for row in rows]


def page_query(state: str | None) -> str:
    """Return the query of a page: $1 is where it begins, the others are the filter."""
    # Inside, the newest rows of the state's index or of the inbox; outside, the filter.
    return f"""
        select {_COLUMNS}
        from (
            select * from (
                select i.id, i.provider, i.provider_event_id, i.event_type, i.state, i.reason,
                    i.attempts, i.received_at, i.processed_at, i.last_error
                from fleet.inbox_events as i
                where i.id < $1{_of_state(state)}
                order by i.id desc
                limit {LOOKED_AT_MAX}
            ) as newest
        ) as e
        where ($2::text is null or e.provider = $2)
            and ($3::text is null or e.event_type = $3)
            and ($4::text is null or e.reason = $4)
            and ($5::timestamptz is null or e.received_at >= $5)
            and ($6::timestamptz is null or e.received_at < $6)
            and ($7::text is null or e.state = $7)
        order by e.id desc
        limit {PAGE_ROWS + 1}
    """  # noqa: S608 - constants of this module


def bound_query(state: str | None) -> str:
    """Return the query of the last event that a page looks at, if there are older ones."""
    return (
        "select i.id, i.received_at from fleet.inbox_events as i"  # noqa: S608 - as above
        f" where i.id < $1{_of_state(state)} order by i.id desc"
        f" offset {LOOKED_AT_MAX - 1} limit 1"
    )


def _of_state(state: str | None) -> str:
    """Return the condition that lets the planner use the state's own index, as a constant."""
    if state not in INDEXED_STATES:
        return ""
    return f" and i.state = '{INDEXED_STATES[INDEXED_STATES.index(state)]}'"
