"""Notes of batches' starts, each in a commit of its own: so an event that kills workers is found.

On a second session if one is free at once; else before the claim, on the only one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.connections.spare_session import FREE_WITHIN_S, execute_on_spare
from db.errors import CoinfleetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection, Pool

# A session is opened as far away as the claim was made, but not for ever.
CLAIM_MAX_S = 0.5
# For how long after a second session was asked for in vain the starts are noted ahead:
# asking costs a claim.
NOTE_AHEAD_S = 10.0


class NoSpareSession(CoinfleetError):
    """No second session was free at once; `note` is there if the note may yet be written."""

    def __init__(self, note: StartNote | None) -> None:
        super().__init__()
        self.note = note


@dataclass(frozen=True, slots=True)
class StartNote:
    """The note of a batch's start: by which transaction, and which events it would accuse."""

    xact_id: int
    event_ids: Sequence[int]


class StartNotes:
    """How one worker notes its starts."""

    def __init__(self, pool: Pool, *, worker: str) -> None:
        self._pool = pool
        self._worker = worker
        self._ahead_until = float("-inf")

    @property
    def must_be_ahead(self) -> bool:
        """Whether a second session was lately asked for in vain."""
        return time.monotonic() < self._ahead_until

    async def note_beside(self, note: StartNote, *, claimed_in_s: float) -> None:
        """Note a claimed batch on another session. Raises NoSpareSession.

        `claimed_in_s` is how long the claim took: the server may be far away.
        """
        is_noted = await execute_on_spare(
            self._pool,
            "select fleet.note_batch_start($1::text::xid8, $2, $3)",
            str(note.xact_id),
            note.event_ids,
            self._worker,
            free_within_s=FREE_WITHIN_S + min(claimed_in_s, CLAIM_MAX_S),
        )
        if not is_noted:
            self._ahead_until = time.monotonic() + NOTE_AHEAD_S
            # Given up half way it may yet be written: to be deleted, with nothing to take back.
            raise NoSpareSession(StartNote(note.xact_id, []) if is_noted is None else None)

    async def note_ahead(self, connection: Connection, limit: int) -> StartNote | None:
        """Note the batch that is about to be claimed on this session; None if nothing is due."""
        row = await connection.fetchrow(
            "select xact_id::text::bigint, event_ids from fleet.note_batch_ahead($1, $2)",
            limit,
            self._worker,
        )
        return StartNote(*row) if row else None


async def forget_start(database: Pool | Connection, note: StartNote) -> None:
    """Delete a note, or take back what its events were accused of because of it."""
    await database.execute(
        "select fleet.forget_batch_start($1::text::xid8, $2)", str(note.xact_id), note.event_ids
    )
