"""Has events processed again, in batches, and tells what became of each.

A trial does the same in a transaction that is rolled back. Nothing here knows a provider: what an
event means is handed in as `interpret`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from db.inbox.batches import ClaimedEvent, EventId
from db.inbox.claims import as_row, interpret_events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from db.connections.pool import Connection
    from db.facts import Fact
    from db.operating.matching import Match

# As many as a worker takes at once.
BATCH_EVENTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for it, why, and by which filter: kept with each batch."""

    typed_by: str
    reason: str
    filter: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What became of a replayed event; `pending` while no worker has finished it."""

    event_id: int
    before: str
    state: str
    reason_before: str | None = None
    reason: str | None = None
    error: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """Coins that would move in an account: to how many people, and from how many."""

    account: str
    gained: int
    gainers: int
    lost: int
    losers: int


@dataclass(slots=True)
class Batch:
    """What was done with a batch: what became of its events, and why others were left."""

    endings: list[Ending] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    settled: int = 0
    """Events outside the batch that waited or were held, and would be settled by it."""


async def replay(connection: Connection, matches: Sequence[Match], request: Request) -> Batch:
    """Make up to BATCH_EVENTS events pending, with a note of who did it, in one transaction."""
    async with connection.transaction():
        return await _make_pending(connection, matches, request)


async def try_replay(
    connection: Connection,
    matches: Sequence[Match],
    request: Request,
    interpret: Callable[[ClaimedEvent], Fact],
) -> Batch:
    """Replay and apply a batch in a transaction that is rolled back; return what it would do.

    While it runs it holds the locks of a worker's batch.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        batch = await _make_pending(connection, matches, request)
        if batch.endings:
            await _apply(connection, batch, interpret)
        return batch
    finally:
        await transaction.rollback()


async def _make_pending(
    connection: Connection, matches: Sequence[Match], request: Request
) -> Batch:
    # What another session changes after this is left by the function, by its state.
    seen = await connection.fetch(
        "select id, reason from fleet.inbox_events where id = any($1)",
        [match.event_id for match in matches],
    )
    reasons = {row["id"]: row["reason"] for row in seen}
    rows = await connection.fetch(
        "select event_id, skipped from fleet.replay_events($1, $2, $3, $4, $5::jsonb)",
        [match.event_id for match in matches],
        [match.state for match in matches],
        request.typed_by,
        request.reason,
        json.dumps(request.filter),
    )
    before = {match.event_id: match.state for match in matches}
    batch = Batch()
    for event_id, skipped in rows:
        if skipped:
            batch.skipped[event_id] = skipped
        else:
            batch.endings.append(
                Ending(
                    event_id=event_id,
                    before=before[event_id],
                    state="pending",
                    reason_before=reasons[event_id],
                )
            )
    return batch


async def _apply(
    connection: Connection, batch: Batch, interpret: Callable[[ClaimedEvent], Fact]
) -> None:
    event_ids = [each.event_id for each in batch.endings]
    rows = await connection.fetch(
        "select id, provider, provider_event_id, event_type, payload, received_at, attempts"
        " from fleet.inbox_events where id = any($1) order by id",
        event_ids,
    )
    events = [ClaimedEvent(EventId(row[0]), *tuple(row)[1:]) for row in rows]
    facts = [as_row(*each) for each in await interpret_events(connection, events, interpret)]
    outcomes = await connection.fetch(
        "select event_id, waited_s from fleet.apply_claimed_events($1::jsonb)",
        msgspec.json.encode(facts).decode(),
    )
    batch.settled = sum(row["waited_s"] is not None for row in outcomes)
    batch.endings = await read_endings(connection, batch.endings)
    batch.moved = [
        Moved(*row) for row in await connection.fetch("select * from fleet.moved_coins()")
    ]


async def read_endings(connection: Connection, endings: Sequence[Ending]) -> list[Ending]:
    """Return these events as they are now."""
    rows = await connection.fetch(
        "select id, state, reason, last_error, attempts"
        " from fleet.inbox_events where id = any($1) order by id",
        [each.event_id for each in endings],
    )
    by_id = {each.event_id: each for each in endings}
    return [
        replace(
            by_id[row["id"]],
            state=row["state"],
            reason=row["reason"],
            error=row["last_error"],
            attempts=row["attempts"],
        )
        for row in rows
    ]


async def read_now(connection: Connection) -> datetime:
    """Return the database's time."""
    now: datetime = await connection.fetchval("select clock_timestamp()")
    return now
