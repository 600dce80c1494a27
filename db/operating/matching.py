"""Which events a filter means, found by index however long history is.

Few events are open or dead, and each of these states has an index of its own. Among the others the
inbox is walked through by id, the newest first, in steps of bounded cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from db.connections.pool import Connection

STATES = ("pending", "waiting", "held", "applied", "ignored", "rejected", "dead")
# Each has a partial index that names it.
INDEXED_STATES = ("pending", "waiting", "held", "dead")
# So many ids are looked at by one statement, within some 50 ms.
STEP_IDS = 20_000
# Ids follow the time of receipt, but for clocks that were set back.
ORDER_TOLERANCE = timedelta(days=1)

_CONDITIONS = """
    ($1::text[] is null or e.reason = any($1))
    and ($2::text[] is null or e.provider = any($2))
    and ($3::text[] is null or e.event_type = any($3))
    and ($4::timestamptz is null or e.received_at >= $4)
    and ($5::timestamptz is null or e.received_at < $5)
    and ($6::text is null or starts_with(e.last_error, $6))
"""
# The console may know whether a payload is kept, and not read it.
_COLUMNS = "e.id, e.state, fleet.has_payload(e.id)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Events that meet all of these; None means any. `ids` are ours, `names` the provider's."""

    states: Sequence[str] | None = None
    reasons: Sequence[str] | None = None
    providers: Sequence[str] | None = None
    types: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    ids: Sequence[int] | None = None
    names: Sequence[str] | None = None

    @property
    def arguments(self) -> tuple[object, ...]:
        """The arguments of _CONDITIONS."""
        return (self.reasons, self.providers, self.types, self.since, self.until, self.error)


class Match(NamedTuple):
    """An event that a filter means; without its payload it can't be read again."""

    event_id: int
    state: str
    has_payload: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one statement found, and how much of the way is done."""

    found: list[Match]
    done: int
    steps: int


async def find_events(
    connection: Connection, wanted: Filter, *, step_ids: int = STEP_IDS
) -> AsyncIterator[Step]:
    """Yield what the filter means, step by step, in no order.

    Each statement reads an index and a bounded part of the inbox.
    """
    if wanted.ids is not None or wanted.names is not None:
        yield Step(await _find_named(connection, wanted), 1, 1)
        return
    states = wanted.states or STATES
    found = [
        match
        for state in states
        if state in INDEXED_STATES
        for match in await _find_in_state(connection, wanted, state)
    ]
    walked = [state for state in states if state not in INDEXED_STATES]
    if not walked:
        yield Step(found, 1, 1)
        return
    yield Step(found, 0, 1)
    async for step in _walk(connection, wanted, walked, step_ids):
        yield step


async def _find_named(connection: Connection, wanted: Filter) -> list[Match]:
    # A name is unique per provider, and the index begins with the provider.
    rows = await connection.fetch(
        f"""
        select {_COLUMNS} from fleet.inbox_events as e
        where e.id = any($8) and ($7::text[] is null or e.state = any($7)) and {_CONDITIONS}
        union
        select {_COLUMNS} from fleet.inbox_events as e
        where e.provider = any(array(select c.provider from fleet.event_counts() as c))
            and e.provider_event_id = any($9)
            and ($7::text[] is null or e.state = any($7)) and {_CONDITIONS}
        """,  # noqa: S608 - constants of this module
        *wanted.arguments,
        wanted.states,
        wanted.ids or [],
        wanted.names or [],
    )
    return [Match(*row) for row in rows]


async def _find_in_state(connection: Connection, wanted: Filter, state: str) -> list[Match]:
    # As a constant, so that the planner may choose the state's own index.
    rows = await connection.fetch(
        f"select {_COLUMNS} from fleet.inbox_events as e"  # noqa: S608 - see above
        f" where e.state = '{INDEXED_STATES[INDEXED_STATES.index(state)]}' and {_CONDITIONS}",
        *wanted.arguments,
    )
    return [Match(*row) for row in rows]


async def _walk(
    connection: Connection, wanted: Filter, states: Sequence[str], step_ids: int
) -> AsyncIterator[Step]:
    bounds = await connection.fetchrow("select min(id), max(id) from fleet.inbox_events")
    first, last = tuple(bounds) if bounds else (None, None)
    if first is None or last is None:
        return
    steps = (last - first) // step_ids + 1
    for done in range(steps):
        upto = last - done * step_ids
        row = await connection.fetchrow(
            f"""
            select
                max(e.received_at),
                array_agg(e.id) filter (where m.is_meant),
                array_agg(e.state) filter (where m.is_meant),
                array_agg(fleet.has_payload(e.id)) filter (where m.is_meant)
            from fleet.inbox_events as e
            cross join lateral (select e.state = any($7) and {_CONDITIONS} as is_meant) as m
            where e.id > $8 and e.id <= $9
            """,  # noqa: S608 - constants of this module
            *wanted.arguments,
            states,
            upto - step_ids,
            upto,
        )
        newest, *columns = row or (None,)
        matches = zip(*(column or () for column in columns), strict=True)
        yield Step([Match(*match) for match in matches], done + 1, steps)
        if newest and wanted.since and newest < wanted.since - ORDER_TOLERANCE:
            return
