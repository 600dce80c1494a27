"""The events that were found in a provider's history because no webhook had brought them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.console.paging import BEYOND_ALL, LOOKED_AT_MAX, PAGE_ROWS, Listing, Page, read_page

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event; `is_missed` if its webhook was more than 15 minutes late."""

    event_id: int
    provider: str
    event_type: str
    made_at: datetime
    found_at: datetime
    is_missed: bool
    state: str


PAGE_QUERY = f"""
    select f.event_id, f.provider, f.event_type, f.made_at, f.found_at, f.is_missed,
        (select e.state from fleet.inbox_events as e where e.id = f.event_id)
    from (
        select i.event_id, i.provider, i.event_type, i.made_at, i.found_at, i.is_missed
        from fleet.found_events as i
        where i.event_id < $1
        order by i.event_id desc
        limit {LOOKED_AT_MAX}
    ) as f
    where f.is_missed or $2
    order by f.event_id desc
    limit {PAGE_ROWS + 1}
"""  # noqa: S608 - constants of this module
BOUND_QUERY = (
    "select i.event_id from fleet.found_events as i where i.event_id < $1"  # noqa: S608 - as above
    f" order by i.event_id desc offset {LOOKED_AT_MAX - 1} limit 1"
)


async def list_found(
    database: Pool | Connection, *, all_found: bool = False, before: int | None = None
) -> Page[FoundEvent]:
    """Return the newest missed events below an id, or all that were found."""
    start = BEYOND_ALL if before is None else before
    found = Listing(FoundEvent, PAGE_QUERY, BOUND_QUERY)
    return await read_page(database, found, start, all_found)
