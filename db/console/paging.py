"""Pages of a list that goes on from an id: what one holds, how far it looks, where it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from db.connections.pool import Connection, Pool

Row = TypeVar("Row")

PAGE_ROWS = 50
LOOKED_AT_MAX = 20_000
# No id is larger: where the first page begins.
BEYOND_ALL = 2**63 - 1

Table = Literal["fleet.inbox_events", "public.coin_purchases"]
_CAME_AT: dict[Table, str] = {
    "fleet.inbox_events": "received_at",
    "public.coin_purchases": "created_at",
}


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A page. `before` is where the next one begins; None if nothing older is left.

    `is_full` says that the page ended because it is full, and not because it had looked at enough.
    """

    rows: list[Row]
    before: int | None
    is_full: bool


def place_after(last: asyncpg.Record | None, *, since: datetime | None) -> int | None:
    """Return where a page goes on after the last row that was looked at, an id and its time.

    None if there is no older row, or none that can have come at `since` or later.
    """
    if last is None or (since is not None and last[1] < since):
        return None
    found: int = last[0]
    return found


class Listing(NamedTuple, Generic[Row]):
    """How a list is read: what a row becomes, and its two queries, whose $1 is where a page begins.

    `page` returns rows with their id first, one more than a page has. `bound` returns the id, and
    the time where one counts, of the last row that `page` looks at, if there are older ones.
    """

    row: Callable[..., Row]
    page: str
    bound: str


async def read_page(
    database: Pool | Connection,
    wanted: Listing[Row],
    start: int,
    *values: object,
    since: datetime | None = None,
    bounded_by: tuple[object, ...] = (),
) -> Page[Row]:
    """Return the page of rows with a smaller id than `start`; `values` are the list's filter.

    `bounded_by` is what of it the query of the bound takes, too.
    """
    rows = await database.fetch(wanted.page, start, *values)
    made = [wanted.row(*row) for row in rows[:PAGE_ROWS]]
    if len(rows) > PAGE_ROWS:
        return Page(made, rows[PAGE_ROWS - 1][0], is_full=True)
    last = await database.fetchrow(wanted.bound, start, *bounded_by)
    return Page(made, place_after(last, since=since), is_full=False)


async def first_id_from(database: Pool | Connection, table: Table, at: datetime) -> int:
    """Return the id after which rows came from this time on.

    Ids follow the time at which rows came but for clocks that were set back, so the ids are halved
    again and again: as many reads of one row as the newest id has binary digits.
    """
    bounds = await database.fetchrow(f"select min(id), max(id) from {table}")  # noqa: S608
    if bounds is None or bounds[0] is None:
        return 0
    low: int = bounds[0] - 1
    high: int = bounds[1]
    while low < high:
        middle = (low + high + 1) // 2
        row = await database.fetchrow(
            f"select id, {_CAME_AT[table]} from {table} where id > $1 and id <= $2"  # noqa: S608
            " order by id desc limit 1",
            low,
            middle,
        )
        if row is None or row[1] < at:
            low = middle
        else:
            high = row[0] - 1
    return low + 1
