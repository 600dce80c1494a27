"""The inbox: store what arrived, claim what is due, apply it and record what became of it.

One transaction per batch. The row lock is the claim: a worker that dies frees its events at once;
nothing here knows a provider, and nothing calls one.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
import msgspec

from db.batch_starts import NoSpareSession, StartNote, StartNotes, forget_start
from db.batches import Batch, BatchResult, ClaimedEvent, EventId, Failure, Outcome, Setback
from db.connections.pool import expire_if_unfit
from db.errors import (
    CoinfleetError,
    DatabaseUnavailable,
    Fate,
    describe,
    fate,
    is_server_unfit,
    is_timeout,
    sqlstate_of,
)
from db.release.compatibility import is_half_way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from db.connections.pool import Connection, Pool
    from db.facts import Fact

__all__ = [
    "Arrival",
    "BatchFailed",
    "BatchLost",
    "BatchResult",
    "ClaimedEvent",
    "EventId",
    "Failure",
    "Inbox",
    "Outcome",
    "ReleaseHalfWay",
    "Setback",
    "Stored",
    "store_arrivals",
    "wake_waiting_events",
]


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


class BatchLost(DatabaseUnavailable):
    """The connection was lost while a batch was applied; nothing of it was done."""

    def __init__(self, event_ids: Sequence[EventId], error: Exception) -> None:
        super().__init__(describe(error))
        self.event_ids = event_ids


class ReleaseHalfWay(DatabaseUnavailable):
    """The schema lacks something of this release, or a release is at work on it."""


# As fleet.claim_set_aside_event sets it for one event.
HURRIED_LOCK_TIMEOUT_MS = 1_000

_CLAIMED = (
    "id, provider, provider_event_id, event_type, payload, received_at, attempts,"
    " extract(epoch from clock_timestamp() - received_at)::float8"
)


async def store_arrivals(pool: Pool, arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store the arrivals in one statement and say of each, in input order, what was found.

    They are committed when this returns. Raises DatabaseUnavailable when the database can't store
    any row now; asyncpg's own error when a row can't be stored, and then none is.
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
            raise DatabaseUnavailable(describe(error)) from error
        raise
    for row in seen:
        found[row["no"] - 1] = Stored.SEEN if row["same_body"] else Stored.CONFLICT
    return found


def _is_no_rows_fault(error: Exception) -> bool:
    """Return whether storing fewer rows, or others, would fail as well."""
    return (
        fate(error) is Fate.TRANSIENT
        or is_server_unfit(error)
        # No such schema, function or table: a release is half way, is yet to come, or somebody took
        # it. No value of a row does that.
        or (sqlstate_of(error) or "").startswith(("3F", "42P", "427", "428"))
        # Not the function's own refusal of a state.
        or (isinstance(error, asyncpg.InsufficientPrivilegeError) and _NO_RIGHT in str(error))
    )


_NO_RIGHT = "permission denied for"


class Inbox:
    """A worker's hold on the inbox, for any number of batches at once.

    Each batch in flight takes one connection of the pool, and for a moment a second if one is free.
    Whoever ends calls `forget_failed_starts` last, or the next worker takes this one for killed by
    its last batch.
    """

    def __init__(self, pool: Pool, *, worker: str) -> None:
        self._pool = pool
        self._notes = StartNotes(pool, worker=worker)
        self._failed_starts: list[StartNote] = []

    async def process_batch(
        self,
        interpret: Callable[[ClaimedEvent], Fact],
        *,
        limit: int,
        is_hurried: bool = False,
    ) -> BatchResult:
        """Claim up to `limit` due events, interpret each, apply all and record their outcomes.

        All in one transaction; `interpret` is pure and must not raise. The start of the batch is
        noted in a commit of its own, see db/batch_starts.py. A hurried batch waits for a lock no
        longer than a second: it is one of those that find out which event is in trouble.

        Raises BatchFailed when the batch was rolled back. Raises DatabaseUnavailable when the
        database can't be reached or a release is half way; BatchLost, one of these, if events were
        claimed.
        """
        batch = Batch(interpret, limit, is_hurried)
        try:
            await self.forget_failed_starts()
            async with self._pool.acquire() as connection:
                if not self._notes.must_be_ahead:
                    try:
                        return await self._process_noting_beside(connection, batch)
                    except NoSpareSession as without:
                        batch.claimed, batch.note = [], None
                        if without.note is not None:
                            # Now, lest somebody takes this worker for dead, and later once more.
                            self._failed_starts.append(without.note)
                            await forget_start(connection, without.note)
                return await self._process_noting_ahead(connection, batch)
        except BaseException as error:
            if batch.note is not None:
                self._failed_starts.append(batch.note)
            if not isinstance(error, Exception):
                raise
            await expire_if_unfit(self._pool, error)
            failure = await self._failure(error, batch.claimed)
            if failure is error:
                # From itself it would be its own cause, and whoever reads causes never at an end.
                raise
            raise failure from error

    async def fail_event(self, event_id: EventId, error: str) -> str | None:
        """Count a failed attempt of one event; return its state, `pending` or `dead`.

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

    async def set_aside(
        self, event_id: EventId, failure: BatchFailed, *, others_succeed: bool
    ) -> Setback | None:
        """Have an event wait that failed alone for a passing cause; no attempt is counted.

        While others succeed its pause doubles, and it is claimed alone. None if another worker has
        it, or it isn't pending any more.
        """
        row = await self._pool.fetchrow(
            "select setbacks, pause_s, failing_s from fleet.set_event_aside($1, $2, $3, $4)",
            event_id,
            failure.sqlstate,
            failure.error,
            others_succeed,
        )
        return Setback(**row) if row else None

    async def forget_failed_starts(self) -> None:
        """Take back the notes of batches that failed or were cancelled under this living worker.

        They say nothing against their events. Raises what the database does.
        """
        while self._failed_starts:
            note = self._failed_starts.pop()
            try:
                await forget_start(self._pool, note)
            except BaseException:
                self._failed_starts.append(note)
                raise

    async def _process_noting_beside(self, connection: Connection, batch: Batch) -> BatchResult:
        async with connection.transaction():
            began_at = time.monotonic()
            rows = await connection.fetch(
                f"select {_CLAIMED}, xact_id::text::bigint from fleet.claim_events($1)",  # noqa: S608
                batch.limit,
            )
            if not rows:
                return batch.result()
            batch.claim(row[:-1] for row in rows)
            batch.note = StartNote(rows[0]["xact_id"], [event.id for event in batch.claimed])
            # Committed before anything is read of the events, so that a death while reading tells.
            await self._notes.note_beside(batch.note, claimed_in_s=time.monotonic() - began_at)
            await _apply(connection, batch)
        return batch.result()

    async def _process_noting_ahead(self, connection: Connection, batch: Batch) -> BatchResult:
        batch.note = await self._notes.note_ahead(connection, batch.limit)
        if batch.note is None:
            return batch.result()
        async with connection.transaction():
            rows = await connection.fetch(
                f"select {_CLAIMED} from fleet.claim_noted_events($1::text::xid8)",  # noqa: S608
                str(batch.note.xact_id),
            )
            if rows:
                batch.claim(rows)
                await _apply(connection, batch)
            await forget_start(connection, batch.note)
        return batch.result()

    async def _failure(self, error: Exception, claimed: Sequence[ClaimedEvent]) -> Exception:
        """Return what the caller hears: that the store is away, or that this batch failed."""
        if isinstance(error, DatabaseUnavailable):
            return error
        event_ids = [event.id for event in claimed]
        found = fate(error, is_alone=len(claimed) == 1)
        is_lost = not isinstance(error, asyncpg.PostgresError) and found is Fate.TRANSIENT
        if is_lost and claimed:
            return BatchLost(event_ids, error)
        if is_lost or (not claimed and (found is Fate.TRANSIENT or is_server_unfit(error))):
            return _away(error)
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            # Whatever an event is refused for is its outcome. This worker lost a right.
            return ReleaseHalfWay(describe(error))
        if found is Fate.BUG and isinstance(error, asyncpg.PostgresError):
            with suppress(Exception):
                if await is_half_way(self._pool):
                    return ReleaseHalfWay(describe(error))
        return BatchFailed(event_ids, fate=found, error=error) if claimed else error


def _away(error: Exception) -> DatabaseUnavailable:
    away = DatabaseUnavailable(describe(error))
    away.__cause__ = error
    return away


async def _apply(connection: Connection, batch: Batch) -> None:
    """Apply a claimed batch; raises ReleaseHalfWay if what failed may be a release's doing."""
    if batch.is_hurried:
        await connection.execute(f"set local lock_timeout = {HURRIED_LOCK_TIMEOUT_MS:d}")
    facts = [_as_row(event, batch.interpret(event)) for event in batch.claimed]
    rows = await connection.fetch(
        "select event_id, state, reason, waited_s from fleet.apply_claimed_events($1::jsonb)",
        msgspec.json.encode(facts).decode(),
    )
    batch.record(rows)
    batch.failures = await _read_failures(connection, batch)
    bugs = [each.error for each in batch.failures if each.is_bug]
    if bugs and await is_half_way(connection):
        raise ReleaseHalfWay(f"{ReleaseHalfWay.__doc__} {bugs[0]}")


async def _read_failures(connection: Connection, batch: Batch) -> list[Failure]:
    """Return what failed in this batch: what is to be tried again or dead, with an attempt more."""
    open_ids = [each.event_id for each in batch.outcomes if each.state in {"pending", "dead"}]
    if not open_ids:
        return []
    attempts = {event.id: event.attempts for event in batch.claimed}
    rows = await connection.fetch("select * from fleet.event_failures($1)", open_ids)
    found = [Failure(*row) for row in rows]
    return [each for each in found if each.error and each.attempts > attempts[each.event_id]]


def _as_row(event: ClaimedEvent, fact: Fact) -> dict[str, Any]:
    return msgspec.structs.asdict(fact) | {
        "kind": type(fact).__struct_config__.tag,
        "event_id": event.id,
        "provider": event.provider,
        "provider_event_id": event.provider_event_id,
        "received_at": event.received_at,
    }


async def wake_waiting_events(pool: Pool, *, limit: int) -> int:
    """Make up to `limit` events pending whose time to wait for another half is over."""
    woken: int = await pool.fetchval("select fleet.wake_waiting_events($1)", limit)
    return woken


async def judge_holds_again(pool: Pool, *, limit: int) -> int:
    """Make up to `limit` held events pending whose buyer, product or rate has come since.

    Those that a person has decided stay. Return how many there were.
    """
    judged: int = await pool.fetchval("select fleet.judge_holds_again($1)", limit)
    return judged
