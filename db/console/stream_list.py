"""A list of streams for a person, and when they were published and unpublished of late.

Pages go on from an id; each reads a bounded part of one index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.console.paging import BEYOND_ALL, LOOKED_AT_MAX, PAGE_ROWS, Listing, Page, read_page

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from db.connections.pool import Connection, Pool

SHOWN = ("published", "live")
CHANGES = 50


@dataclass(frozen=True, slots=True)
class ListedStream:
    """A stream with its counters."""

    id: int
    profile_id: UUID
    live_available: bool
    is_published: bool
    viewers: int
    recent_gift_coins: int
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class PublishChange:
    """A stream that was published or unpublished."""

    stream_id: int
    is_published: bool
    changed_at: datetime


async def list_streams(
    database: Pool | Connection, *, shown: str | None = None, before: int | None = None
) -> Page[ListedStream]:
    """Return the newest streams, or of them the `published` or `live` ones, below an id."""
    start = BEYOND_ALL if before is None else before
    streams = Listing(ListedStream, page_query(shown), bound_query(shown))
    return await read_page(database, streams, start, shown == "live")


async def list_changes(
    database: Pool | Connection, *, stream_id: int | None = None
) -> list[PublishChange]:
    """Return the newest changes, of all streams or of one."""
    query = CHANGES_QUERY if stream_id is None else CHANGES_OF_ONE_QUERY
    rows = await database.fetch(query, *(() if stream_id is None else (stream_id,)))
    return [PublishChange(*row) for row in rows]


def page_query(shown: str | None) -> str:
    """Return the query of a page: $1 is where it begins, $2 whether only live ones count."""
    return f"""
        select s.id, s.profile_id, s.live_available, s.is_published, s.active_viewer_count,
            s.recent_gift_coins, s.started_at, s.ended_at
        from (
            select i.id, i.profile_id, i.live_available, i.is_published, i.active_viewer_count,
                i.recent_gift_coins, i.started_at, i.ended_at
            from public.live_streams as i
            where i.id < $1{_of(shown)}
            order by i.id desc
            limit {LOOKED_AT_MAX}
        ) as s
        where s.live_available or not $2
        order by s.id desc
        limit {PAGE_ROWS + 1}
    """  # noqa: S608 - constants of this module


def bound_query(shown: str | None) -> str:
    """Return the query of the last stream that a page looks at, if there are older ones."""
    return (
        "select i.id from public.live_streams as i"  # noqa: S608 - as above
        f" where i.id < $1{_of(shown)} order by i.id desc offset {LOOKED_AT_MAX - 1} limit 1"
    )


CHANGES_QUERY = f"""
    select c.stream_id, c.is_published, c.changed_at
    from fleet.publish_changes as c order by c.id desc limit {CHANGES}
"""  # noqa: S608 - as above
CHANGES_OF_ONE_QUERY = f"""
    select c.stream_id, c.is_published, c.changed_at
    from fleet.publish_changes as c where c.stream_id = $1 order by c.id desc limit {CHANGES}
"""  # noqa: S608 - as above


def _of(shown: str | None) -> str:
    """Return the condition that lets the planner use the index of what is published."""
    return " and i.is_published" if shown == "published" else ""
