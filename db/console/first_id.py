"""The id from which on rows came at or after a time: where a list that goes by ids begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Connection, Pool

Table = Literal["fleet.inbox_events", "public.coin_purchases"]
_CAME_AT: dict[Table, str] = {
    "fleet.inbox_events": "received_at",
    "public.coin_purchases": "created_at",
}


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
