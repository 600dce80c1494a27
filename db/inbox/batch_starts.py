"""Notes that a batch has started, each in a commit of its own: they name events that kill workers.

A note is written on a second session if one is free at once, else on the only one, before the
claim. What the notes lead to is decided in SQL.
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

# If the claim took long the server is far away, and opening a session takes as long; up to this.
CLAIM_MAX_S = 0.5
# After no second session was free, starts are noted ahead of the claim for this long: to ask again
# for each batch would cost a claim each time.
NOTE_AHEAD_S = 10.0


class NoSpareSession(CoinfleetError):
    """No second session was free at once; `note` is set if it may still be written."""

    def __init__(self, note: StartNote | None) -> None:
        super().__init__()
        self.note = note


@dataclass(frozen=True, slots=True)
class StartNote:
    """The note of a batch's start: its transaction, and the events it counts a start against."""

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
        """Whether no second session was free a short time ago."""
        return time.monotonic() < self._ahead_until

    async def note_beside(self, note: StartNote, *, claimed_in_s: float) -> None:
        """Note a claimed batch on another session.

        `claimed_in_s` is how long the claim took: a server that is far away gets more time. Raises
        NoSpareSession if no session is free by then.
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
            # A note that was given up half way may still be written. It is deleted later, and its
            # events get no start taken back.
            raise NoSpareSession(StartNote(note.xact_id, []) if is_noted is None else None)

    async def note_ahead(self, connection: Connection, limit: int) -> StartNote | None:
        """Note the batch that this session claims next; return the note, None if nothing is due."""
        row = await connection.fetchrow(
            "select xact_id::text::bigint, event_ids from fleet.note_batch_ahead($1, $2)",
            limit,
            self._worker,
        )
        return StartNote(*row) if row else None


async def forget_start(database: Pool | Connection, note: StartNote) -> None:
    """Delete a note, or take back the starts that its events were counted because of it."""
    await database.execute(
        "select fleet.forget_batch_start($1::text::xid8, $2)", str(note.xact_id), note.event_ids
    )
