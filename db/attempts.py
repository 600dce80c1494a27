"""Attempts at events that failed and were counted: which it was, of what, when the next comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.errors import Fate, fate_of_sqlstate, take_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.pool import Connection


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """The last attempt at an event: how many there were, its error, the pause after it."""

    attempts: int
    sqlstate: str | None
    error: str
    pause_s: float

    @property
    def is_bug(self) -> bool:
        """Whether it is of a kind that a release can cause while it is half way."""
        return self.sqlstate is not None and fate_of_sqlstate(self.sqlstate) is Fate.BUG


async def read_attempts(
    connection: Connection, event_ids: Sequence[int]
) -> dict[int, FailedAttempt]:
    """Return the last failed attempt at each of these events that is pending or dead."""
    rows = await connection.fetch(
        "select event_id, attempts, error, pause_s from fleet.failed_attempts($1)", event_ids
    )
    return {
        row["event_id"]: FailedAttempt(
            row["attempts"], *take_apart(row["error"]), pause_s=row["pause_s"]
        )
        for row in rows
    }
