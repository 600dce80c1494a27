"""A list of outgoing calls for a person, messages to the app among them, in pages of bounded cost.

A page goes on from an id and looks at LOOKED_AT_MAX rows at most. What was asked and answered is
not among the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.console.paging import BEYOND_ALL, LOOKED_AT_MAX, PAGE_ROWS, Listing, Page, read_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connections.pool import Connection, Pool

STATES = ("pending", "done", "dead")
DEAD_MAX = 5_000
_COLUMNS = (
    "c.id, c.kind, c.key, c.state, c.attempts, c.created_at, c.next_attempt_at, c.lease_until,"
    " c.finished_at, c.worker, c.event_id, c.last_error"
)


@dataclass(frozen=True, slots=True)
class ListedCall:
    """A call; while a worker makes it, `lease_until` is when that worker is given up."""

    id: int
    kind: str
    key: str
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    lease_until: datetime | None
    finished_at: datetime | None
    worker: str | None
    event_id: int | None
    last_error: str | None


async def list_calls(
    database: Pool | Connection,
    *,
    state: str | None = None,
    kind: str | None = None,
    before: int | None = None,
) -> Page[ListedCall]:
    """Return the newest calls that match and have a smaller id than `before`."""
    start = BEYOND_ALL if before is None else before
    calls = Listing(ListedCall, page_query(state), bound_query(state))
    return await read_page(database, calls, start, kind, state)


async def list_calls_of(database: Pool | Connection, action_id: int) -> list[ListedCall]:
    """Return the first calls that a note names, as they are now; those not done come first."""
    return [ListedCall(*row) for row in await database.fetch(NOTED_QUERY, action_id)]


async def count_calls_of(database: Pool | Connection, action_id: int) -> dict[str, int]:
    """Return how many of the calls that a note names are in each state now."""
    rows = await database.fetch(
        "select c.state, count(*) from fleet.provider_calls as c where c.id = any(array("
        "select unnest(a.call_ids) from fleet.operator_actions as a where a.id = $1))"
        " group by c.state order by c.state",
        action_id,
    )
    return {row[0]: row[1] for row in rows}


async def find_dead_ids(database: Pool | Connection, kind: str) -> list[int]:
    """Return the ids of the dead calls of a kind, at most DEAD_MAX + 1."""
    rows = await database.fetch(
        "select c.id from fleet.provider_calls as c where c.state = 'dead' and c.kind = $1"
        " order by c.id limit $2",
        kind,
        DEAD_MAX + 1,
    )
    return [row[0] for row in rows]


async def read_kinds(database: Pool | Connection, call_ids: Sequence[int]) -> dict[int, str]:
    """Return the kind of each of these calls that there is, in the order of their ids."""
    rows = await database.fetch(
        "select c.id, c.kind from fleet.provider_calls as c where c.id = any($1) order by c.id",
        call_ids,
    )
    return {row[0]: row[1] for row in rows}


async def find_note_of(database: Pool | Connection, call_ids: Sequence[int]) -> int | None:
    """Return the newest note that names one of these calls."""
    found: int | None = await database.fetchval(NOTE_QUERY, call_ids)
    return found


NOTE_QUERY = """
    select max(a.id)
    from (
        select n.id from fleet.operator_actions as n where n.call_ids && $1::bigint[] offset 0
    ) as a
"""


def page_query(state: str | None) -> str:
    """Return the query of a page: $1 is where it begins, the others are the filter."""
    return f"""
        select {_COLUMNS}
        from (
            select i.id, i.kind, i.key, i.state, i.attempts, i.created_at, i.next_attempt_at,
                i.lease_until, i.finished_at, i.worker, i.event_id, i.last_error
            from fleet.provider_calls as i
            where i.id < $1{_of_state(state)}
            order by i.id desc
            limit {LOOKED_AT_MAX}
        ) as c
        where ($2::text is null or c.kind = $2) and ($3::text is null or c.state = $3)
        order by c.id desc
        limit {PAGE_ROWS + 1}
    """  # noqa: S608 - constants of this module


def bound_query(state: str | None) -> str:
    """Return the query of the last call that a page looks at, if there are older ones."""
    return (
        "select i.id from fleet.provider_calls as i"  # noqa: S608 - as above
        f" where i.id < $1{_of_state(state)} order by i.id desc offset {LOOKED_AT_MAX - 1} limit 1"
    )


NOTED_QUERY = f"""
    select {_COLUMNS}
    from fleet.provider_calls as c
    where c.id = any(array(
        select unnest(a.call_ids) from fleet.operator_actions as a where a.id = $1
    ))
    order by c.state = 'done', c.id
    limit {PAGE_ROWS}
"""  # noqa: S608 - as above


def _of_state(state: str | None) -> str:
    """Return the condition that lets the planner use the index of what is dead."""
    return " and i.state = 'dead'" if state == "dead" else ""
