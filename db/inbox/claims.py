"""The inbox: claim the events that are due, apply them and record what became of each.

One transaction per batch. The row lock is the claim, so a worker that dies frees its events at
once. Nothing here knows or calls a provider; storing events is in db/inbox/arrivals.py.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from db.connections.pool import expire_if_unfit
from db.errors import (
    DatabaseUnavailable,
    Fate,
    describe,
    fate,
    is_server_unfit,
    unavailable,
)
from db.facts import Question
from db.inbox.batch_starts import NoSpareSession, StartNote, StartNotes, forget_start
from db.inbox.batches import (
    Batch,
    BatchFailed,
    BatchLost,
    BatchResult,
    ClaimedEvent,
    EventId,
    Failure,
    ReleaseHalfWay,
    Setback,
)
from db.release.compatibility import is_half_way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from db.connections.pool import Connection, Pool
    from db.facts import Fact

# fleet.claim_set_aside_event sets the same for one event.
SHORT_LOCK_TIMEOUT_MS = 1_000

_CLAIMED = (
    "id, provider, provider_event_id, event_type, payload, received_at, attempts,"
    " extract(epoch from clock_timestamp() - received_at)::float8"
)


class Inbox:
    """One worker's access to the inbox, for any number of batches at once.

    Each batch in flight takes one connection of the pool, and for a moment a second if one is free.
    Call `forget_failed_starts` before the worker ends: without that, the next worker counts the
    notes of failed batches as if their events had killed this one.
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
        short_lock_timeout: bool = False,
    ) -> BatchResult:
        """Claim up to `limit` due events, interpret each, apply all and record their outcomes.

            result = await inbox.process_batch(interpret, limit=500)

        All of it is one transaction, which only this method opens and ends: an event and what it
        does to balances are committed together, or not at all. `interpret` is pure and must not
        raise. The start of the batch is noted in a commit of its own, see
        db/inbox/batch_starts.py. With `short_lock_timeout` the batch waits for a lock for one
        second at most, as the batches do that find out which event is in trouble.

        Raises BatchFailed if the batch was rolled back. Raises DatabaseUnavailable if the database
        is unreachable or a release is half way: BatchLost, a subclass, if events were claimed.
        """
        batch = Batch(interpret, limit, short_lock_timeout)
        try:
            await self.forget_failed_starts()
            async with self._pool.acquire() as connection:
                if not self._notes.must_be_ahead:
                    try:
                        return await self._process_noting_beside(connection, batch)
                    except NoSpareSession as without:
                        batch.claimed, batch.note = [], None
                        if without.note is not None:
                            # Now, so that nobody takes this worker for dead, and once more later,
                            # because the note may be written only then.
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
                # `raise … from` itself would make it its own cause, and a reader would loop.
                raise
            raise failure from error

    async def fail_event(self, event_id: EventId, error: str) -> str | None:
        """Count a failed attempt of one event; return its state, `pending` or `dead`.

        None if it wasn't pending any more because another worker was faster.
        """
        state: str | None = await self._pool.fetchval(
            "select fleet.fail_event($1, $2)", event_id, error
        )
        return state

    async def read_failures(self, event_ids: Sequence[EventId]) -> list[Failure]:
        """Return each failed event's attempt and error, and when its next attempt is due."""
        rows = await self._pool.fetch("select * from fleet.event_failures($1)", event_ids)
        return [Failure(*row) for row in rows if row["error"]]

    async def set_aside(
        self, event_id: EventId, failure: BatchFailed, *, others_succeed: bool
    ) -> Setback | None:
        """Let an event wait that failed alone for a passing cause; no attempt is counted.

        If others succeed meanwhile, its pause doubles and it is claimed alone from now on. None if
        another worker has it, or if it isn't pending any more.
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
        """Take back the notes of batches that failed or were cancelled while this worker lived.

        Such a batch killed nobody, so its events get no start counted. Raises what asyncpg raises.
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
            # Committed before any event is read, so that it is there if reading kills the worker.
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
        """Return the error to raise: the database is unavailable, or this batch failed."""
        if isinstance(error, DatabaseUnavailable):
            return error
        event_ids = [event.id for event in claimed]
        found = fate(error, is_alone=len(claimed) == 1)
        is_lost = not isinstance(error, asyncpg.PostgresError) and found is Fate.TRANSIENT
        if is_lost and claimed:
            return BatchLost(event_ids, error)
        if is_lost or (not claimed and (found is Fate.TRANSIENT or is_server_unfit(error))):
            return unavailable(error)
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            # No event causes this: a refusal would be its outcome. This worker has lost a right.
            return ReleaseHalfWay(describe(error))
        if found is Fate.BUG and isinstance(error, asyncpg.PostgresError):
            with suppress(Exception):
                if await is_half_way(self._pool):
                    return ReleaseHalfWay(describe(error))
        return BatchFailed(event_ids, fate=found, error=error) if claimed else error


async def _apply(connection: Connection, batch: Batch) -> None:
    """Apply a claimed batch. Raises ReleaseHalfWay if a release may be the cause of a failure."""
    if batch.short_lock_timeout:
        await connection.execute(f"set local lock_timeout = {SHORT_LOCK_TIMEOUT_MS:d}")
    facts = [
        as_row(*each) for each in await interpret_events(connection, batch.claimed, batch.interpret)
    ]
    rows = await connection.fetch(
        "select event_id, state, reason, waited_s from fleet.apply_claimed_events($1::jsonb)",
        msgspec.json.encode(facts).decode(),
    )
    batch.record(rows)
    batch.failures = await _read_failures(connection, batch)
    bugs = [each.error for each in batch.failures if each.is_bug]
    if bugs and await is_half_way(connection):
        raise ReleaseHalfWay(f"{ReleaseHalfWay.__doc__} {bugs[0]}")


async def interpret_events(
    connection: Connection,
    events: Sequence[ClaimedEvent],
    interpret: Callable[[ClaimedEvent], Fact],
) -> list[tuple[ClaimedEvent, Fact]]:
    """Interpret each event; one that asks a question once more, with its answer if that is there.

    Most batches ask nothing, and read nothing here.
    """
    facts = [(event, interpret(event)) for event in events]
    asking = [event.id for event, fact in facts if isinstance(fact, Question)]
    if not asking:
        return facts
    rows = await connection.fetch(
        "select event_id, answer from fleet.answers_of_events($1)", asking
    )
    answers = {row["event_id"]: row["answer"].encode() for row in rows}
    answered = [
        replace(event, answer=answers[event.id]) if event.id in answers else event
        for event, _ in facts
    ]
    return [
        (event, fact if event.answer is None else interpret(event))
        for event, (_, fact) in zip(answered, facts, strict=True)
    ]


async def _read_failures(connection: Connection, batch: Batch) -> list[Failure]:
    """Return this batch's failures: events to be tried again or dead, with one attempt more."""
    open_ids = [each.event_id for each in batch.outcomes if each.state in {"pending", "dead"}]
    if not open_ids:
        return []
    attempts = {event.id: event.attempts for event in batch.claimed}
    rows = await connection.fetch("select * from fleet.event_failures($1)", open_ids)
    found = [Failure(*row) for row in rows]
    return [each for each in found if each.error and each.attempts > attempts[each.event_id]]


def as_row(event: ClaimedEvent, fact: Fact) -> dict[str, Any]:
    """Return what an event means as fleet.apply_claimed_events takes it, before it is JSON."""
    return msgspec.structs.asdict(fact) | {
        "kind": type(fact).__struct_config__.tag,
        "event_id": event.id,
        "provider": event.provider,
        "provider_event_id": event.provider_event_id,
        "received_at": event.received_at,
    }


async def wake_waiting_events(pool: Pool, *, limit: int) -> int:
    """Make up to `limit` events pending that have waited long enough for another half.

    Return how many there were.
    """
    woken: int = await pool.fetchval("select fleet.wake_waiting_events($1)", limit)
    return woken


async def judge_holds_again(pool: Pool, *, limit: int) -> int:
    """Make up to `limit` held events pending whose buyer, product or rate exists by now.

    Events that a person has decided stay as they are. Return how many there were.
    """
    judged: int = await pool.fetchval("select fleet.judge_holds_again($1)", limit)
    return judged
