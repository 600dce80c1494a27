"""Events that a person has processed again from the console, and what truly became of them.

A retry is the replay of `coinfleet replay`, in batches of bounded size; each has a note, and the
outcome is read back from the events that the note names.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from db.console.acting import acting_on
from db.operating.matching import INDEXED_STATES, find_events
from db.operating.replaying import BATCH_EVENTS, replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection, Pool
    from db.operating.matching import Filter, Match
    from db.operating.replaying import Request

# So many events are retried by one form, if that takes no longer than this.
EVENTS_MAX = 10_000
BUDGET_S = 5.0
# So many steps of the inbox are looked through for one page: two million ids.
STEPS_MAX = 100
# So many open or dead events take a page some three seconds.
OPEN_MAX = 200_000
NAMED_MAX = 50
_BIGINT_MAX = 2**63 - 1


class TooMuchHistory(Exception):
    """The filter asks a page to look through more events than it can."""


@dataclass(slots=True)
class Retried:
    """What one form did: the notes of its batches, and why events were left, by their ids."""

    action_ids: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    left: int = 0
    """Events of batches that were not begun."""


@dataclass(frozen=True, slots=True)
class Change:
    """How many of the retried events are in a state now."""

    state: str
    reason: str | None
    events: int


@dataclass(frozen=True, slots=True)
class Unwell:
    """A retried event that is not settled, or that was refused."""

    event_id: int
    provider: str
    event_type: str
    state: str
    reason: str | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of retried events, as they are now."""

    who: str
    reason: str
    changes: list[Change]
    unwell: list[Unwell]

    @property
    def events(self) -> int:
        """Return how many there are."""
        return sum(change.events for change in self.changes)

    def count(self, state: str) -> int:
        """Return how many are in this state."""
        return sum(change.events for change in self.changes if change.state == state)


async def find_matches(
    connection: Connection, wanted: Filter, *, upto: int | None = None
) -> list[Match]:
    """Return all that the filter means, by id, but for ids above `upto`.

    Raises TooMuchHistory.
    """
    states = [state for state in wanted.states or INDEXED_STATES if state in INDEXED_STATES]
    looked_at = await connection.fetchval(
        "select coalesce(sum(c.events), 0) from fleet.event_counts() as c where c.state = any($1)",
        states,
    )
    if looked_at > OPEN_MAX:
        raise TooMuchHistory
    found: dict[int, Match] = {}
    async for step in find_events(connection, wanted):
        found |= {match.event_id: match for match in step.found}
        if step.done >= STEPS_MAX and step.steps > step.done:
            raise TooMuchHistory
    last = _BIGINT_MAX if upto is None else upto
    return [found[event_id] for event_id in sorted(found) if event_id <= last]


async def retry(
    connection: Connection, matches: Sequence[Match], request: Request, *, origin: str
) -> Retried:
    """Make up to EVENTS_MAX of these events pending, batch by batch, each with its note.

    Each note keeps `origin`, from where it was asked for.
    """
    done = Retried()
    ends_at = time.monotonic() + BUDGET_S
    begun = 0
    for at in range(0, min(len(matches), EVENTS_MAX), BATCH_EVENTS):
        if at and time.monotonic() > ends_at:
            break
        batch = matches[at : at + BATCH_EVENTS]
        begun += len(batch)
        async with acting_on(connection, origin=origin):
            replayed = await replay(connection, batch, request)
            done.skipped |= replayed.skipped
            if replayed.endings:
                done.action_ids.append(await _note_of(connection, replayed.endings[0].event_id))
    done.left = len(matches) - begun
    return done


async def _note_of(connection: Connection, event_id: int) -> int:
    """Return the note that this transaction wrote of this event."""
    found: int = await connection.fetchval(NOTE_QUERY, event_id)
    return found


# Of one event there are few notes.
NOTE_QUERY = """
    select max(a.id)
    from (
        select n.id from fleet.operator_actions as n where n.event_ids @> array[$1::bigint] offset 0
    ) as a
"""


CHANGES_QUERY = """
    select e.state, e.reason, count(*)
    from fleet.inbox_events as e
    where e.id = any(array(
        select unnest(a.event_ids)
        from fleet.operator_actions as a
        where a.id = any($1) and a.action = 'replay'
    ))
    group by e.state, e.reason
    order by e.state, e.reason
"""
UNWELL_QUERY = """
    select e.id, e.provider, e.event_type, e.state, e.reason, e.last_error
    from fleet.inbox_events as e
    where e.id = any(array(
        select unnest(a.event_ids)
        from fleet.operator_actions as a
        where a.id = any($1) and a.action = 'replay'
    )) and e.state not in ('applied', 'ignored')
    order by e.state <> 'dead', e.id
    limit 50
"""


async def read_outcome(database: Pool | Connection, action_ids: Sequence[int]) -> Outcome | None:
    """Return what became of the events that these notes name; None if there is no such note."""
    note = await database.fetchrow(
        "select typed_by, reason from fleet.operator_actions"
        " where id = any($1) and action = 'replay' order by id limit 1",
        action_ids,
    )
    if note is None:
        return None
    changes = await database.fetch(CHANGES_QUERY, action_ids)
    unwell = await database.fetch(UNWELL_QUERY, action_ids)
    return Outcome(
        note["typed_by"],
        note["reason"],
        [Change(*row) for row in changes],
        [Unwell(*row) for row in unwell],
    )
