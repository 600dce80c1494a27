"""The inbox: store what arrived, claim what is due, apply it and record what became of it.

One transaction a batch. The row lock is the claim, so a worker that dies frees its events at once;
nothing here knows a provider, and nothing calls one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NewType

import asyncpg
import msgspec

from db.errors import (
    CoinfleetError,
    Fate,
    StoreUnavailable,
    describe,
    fate,
    is_server_unfit,
    is_timeout,
    sqlstate_of,
)
from db.pool import expire_if_unfit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from db.facts import Fact
    from db.pool import Connection, Pool

EventId = NewType("EventId", int)

# How long a batch may wait for the second connection on which its start is noted.
NOTE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """An authentic webhook, not yet stored. `payload` is the body as it was signed."""

    provider: str
    provider_event_id: str
    event_type: str
    payload: bytes
    payload_sha256: bytes
    state: Literal["pending", "rejected"] = "pending"
    reason: str | None = None


class Stored(StrEnum):
    """What storing an arrival found: new, seen before, or its id taken by another body."""

    STORED = "stored"
    SEEN = "seen"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """An event whose row this worker holds."""

    id: EventId
    provider: str
    provider_event_id: str
    event_type: str
    payload: bytes
    received_at: datetime
    attempts: int
    age_s: float = 0.0
    """Time since it was received when it was claimed, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event; `reason` is null for one that was simply applied."""

    event_id: EventId
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt at an event: `pending` until the next, in so many seconds, or `dead`."""

    event_id: EventId
    state: str
    attempts: int
    error: str
    retry_in_s: float | None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How many events were claimed and what became of each.

    `latencies_s` holds, for each applied event, the time from its receipt to the batch's commit.
    """

    claimed: int
    outcomes: Sequence[Outcome]
    failures: Sequence[Failure] = ()
    latencies_s: Sequence[float] = ()


class BatchFailed(CoinfleetError):
    """A batch was rolled back; its events are as they were before."""

    def __init__(self, event_ids: Sequence[EventId], *, fate: Fate, error: Exception) -> None:
        self.error = describe(error)
        super().__init__(f"{len(event_ids)} events: {self.error}")
        self.event_ids = event_ids
        self.fate = fate
        self.sqlstate = sqlstate_of(error)
        self.is_timeout = is_timeout(error)

    @property
    def transient(self) -> bool:
        """Whether the same batch may succeed later."""
        return self.fate is Fate.TRANSIENT


async def store_arrivals(pool: Pool, arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store the arrivals in one statement and say of each, in input order, what was found.

    They are committed when this returns. Raises StoreUnavailable when the database can't; asyncpg's
    own error when a row can't be stored, and then none is.
    """
    found = [Stored.STORED] * len(arrivals)
    try:
        seen = await pool.fetch(
            "select no, same_body from fleet.store_events($1, $2, $3, $4, $5, $6, $7)",
            [arrival.provider for arrival in arrivals],
            [arrival.provider_event_id for arrival in arrivals],
            [arrival.event_type for arrival in arrivals],
            [arrival.payload for arrival in arrivals],
            [arrival.payload_sha256 for arrival in arrivals],
            [arrival.state for arrival in arrivals],
            [arrival.reason for arrival in arrivals],
        )
    except BaseException as error:
        await expire_if_unfit(pool, error)
        if isinstance(error, Exception) and _is_no_rows_fault(error):
            raise StoreUnavailable(describe(error)) from error
        raise
    for row in seen:
        found[row["no"] - 1] = Stored.SEEN if row["same_body"] else Stored.CONFLICT
    return found


def _is_no_rows_fault(error: Exception) -> bool:
    """Return whether storing fewer rows, or others, would fail as well."""
    return (
        fate(error) is Fate.TRANSIENT
        or is_server_unfit(error)
        # No such function, table or right: a release is half way, or is yet to come.
        or isinstance(error, asyncpg.SyntaxOrAccessError | asyncpg.InvalidSchemaNameError)
    )


class Inbox:
    """A worker's hold on the inbox, for any number of batches at once.

    Each batch in flight takes two connections of the pool. Whoever ends calls
    `forget_failed_starts` last, or the next worker takes this one for killed by its last batch.
    """

    def __init__(self, pool: Pool, *, worker: str) -> None:
        self._pool = pool
        self._worker = worker
        self._failed_starts: list[tuple[int, list[EventId]]] = []

    async def process_batch(
        self, interpret: Callable[[ClaimedEvent], Fact], *, limit: int
    ) -> BatchResult:
        """Claim up to `limit` due events, interpret each, apply all and record their outcomes.

        All in one transaction; `interpret` is pure and must not raise. Raises StoreUnavailable
        when the database can't be reached, BatchFailed when the batch was rolled back.
        """
        claimed: list[ClaimedEvent] = []
        xact_id = 0
        failures: list[Failure] = []
        try:
            await self.forget_failed_starts()
            async with self._pool.acquire() as connection, connection.transaction():
                claimed, xact_id = await _claim(connection, limit)
                if not claimed:
                    return BatchResult(claimed=0, outcomes=())
                claimed_at = time.monotonic()
                await self._note_start(xact_id, [event.id for event in claimed])
                outcomes = await _apply(connection, [(e, interpret(e)) for e in claimed])
                failures = await _read_failures(connection, claimed, outcomes)
        except BaseException as error:
            if claimed:
                self._failed_starts.append((xact_id, [event.id for event in claimed]))
            if not isinstance(error, Exception):
                raise
            raise _failure(error, claimed) from error
        return BatchResult(
            claimed=len(claimed),
            outcomes=outcomes,
            failures=failures,
            latencies_s=_latencies(claimed, outcomes, since_claim_s=time.monotonic() - claimed_at),
        )

    async def fail_event(self, event_id: EventId, error: str) -> str | None:
        """Count a failed attempt of one event; gives its state, `pending` or `dead`.

        None if it wasn't pending any more: another worker was faster.
        """
        state: str | None = await self._pool.fetchval(
            "select fleet.fail_event($1, $2)", event_id, error
        )
        return state

    async def read_failures(self, event_ids: Sequence[EventId]) -> list[Failure]:
        """Return what is known of events that failed: attempt, error, and when the next is due."""
        rows = await self._pool.fetch("select * from fleet.event_failures($1)", event_ids)
        return [Failure(*row) for row in rows if row["error"]]

    async def _note_start(self, xact_id: int, event_ids: list[EventId]) -> None:
        # Committed before anything is read of the events, so that a death while reading tells.
        # Each may hold the connection that another waits for, so nobody waits for ever.
        async with self._pool.acquire(timeout=NOTE_TIMEOUT_S) as connection:
            await connection.execute(
                "select fleet.note_batch_start($1::text::xid8, $2, $3)",
                str(xact_id),
                event_ids,
                self._worker,
                timeout=NOTE_TIMEOUT_S,
            )

    async def forget_failed_starts(self) -> None:
        """Take back the notes of batches that failed or were cancelled under this living worker.

        They say nothing against their events. Raises what the database does.
        """
        while self._failed_starts:
            failed = self._failed_starts.pop()
            xact_id, event_ids = failed
            try:
                await self._pool.execute(
                    "select fleet.forget_batch_start($1::text::xid8, $2)", str(xact_id), event_ids
                )
            except BaseException:
                self._failed_starts.append(failed)
                raise


async def _claim(connection: Connection, limit: int) -> tuple[list[ClaimedEvent], int]:
    rows = await connection.fetch(
        "select id, provider, provider_event_id, event_type, payload, received_at, attempts,"
        " extract(epoch from clock_timestamp() - received_at)::float8 as age_s,"
        " xact_id::text::bigint as xact_id from fleet.claim_events($1)",
        limit,
    )
    claimed = [ClaimedEvent(*row[:-1]) for row in rows]
    return claimed, rows[0]["xact_id"] if rows else 0


async def _apply(
    connection: Connection, interpreted: Sequence[tuple[ClaimedEvent, Fact]]
) -> list[Outcome]:
    rows = await connection.fetch(
        "select event_id, state, reason from fleet.apply_events($1::jsonb)",
        msgspec.json.encode([_as_row(event, fact) for event, fact in interpreted]).decode(),
    )
    return [Outcome(*row) for row in rows]


async def _read_failures(
    connection: Connection, claimed: Sequence[ClaimedEvent], outcomes: Sequence[Outcome]
) -> list[Failure]:
    """Return what failed in this batch: what is to be tried again or dead, with an attempt more."""
    open_ids = [each.event_id for each in outcomes if each.state in {"pending", "dead"}]
    if not open_ids:
        return []
    attempts = {event.id: event.attempts for event in claimed}
    rows = await connection.fetch("select * from fleet.event_failures($1)", open_ids)
    found = [Failure(*row) for row in rows]
    return [each for each in found if each.error and each.attempts > attempts[each.event_id]]


def _latencies(
    claimed: Sequence[ClaimedEvent], outcomes: Sequence[Outcome], *, since_claim_s: float
) -> list[float]:
    ages_s = {event.id: event.age_s for event in claimed}
    return [ages_s[each.event_id] + since_claim_s for each in outcomes if each.state == "applied"]


def _as_row(event: ClaimedEvent, fact: Fact) -> dict[str, Any]:
    return msgspec.structs.asdict(fact) | {
        "kind": type(fact).__struct_config__.tag,
        "event_id": event.id,
        "provider": event.provider,
        "provider_event_id": event.provider_event_id,
        "received_at": event.received_at,
    }


def _failure(error: Exception, claimed: Sequence[ClaimedEvent]) -> Exception:
    """Return what the caller hears: that the store is away, or that this batch failed."""
    found = fate(error, is_alone=len(claimed) == 1)
    is_lost = not isinstance(error, asyncpg.PostgresError) and found is Fate.TRANSIENT
    if is_lost or (not claimed and (found is Fate.TRANSIENT or is_server_unfit(error))):
        return StoreUnavailable(describe(error))
    return (
        BatchFailed([event.id for event in claimed], fate=found, error=error) if claimed else error
    )


async def wake_waiting_events(pool: Pool, *, limit: int) -> int:
    """Make up to `limit` events pending whose time to wait for another half is over."""
    woken: int = await pool.fetchval("select fleet.wake_waiting_events($1)", limit)
    return woken
