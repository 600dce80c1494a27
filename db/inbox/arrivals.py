"""Arrivals: authentic webhooks, each stored in the inbox once, unread.

Nothing here claims or applies an event: that is db/inbox/claims.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import asyncpg

from db.connections.pool import expire_if_unfit
from db.errors import Fate, fate, is_server_unfit, sqlstate_of, unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Pool


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
    traceparent: str | None = None
    """The span in which it was received, if that is traced, as W3C's Trace Context writes it."""


class Stored(StrEnum):
    """How an arrival was stored: it was new, seen before, or its id belongs to another body."""

    STORED = "stored"
    SEEN = "seen"
    CONFLICT = "conflict"


_STORE = "select no, same_body from fleet.store_events($1, $2, $3, $4, $5, $6, $7)"
_STORE_TRACED = (
    "select no, same_body from fleet.store_traced_events($1, $2, $3, $4, $5, $6, $7, $8)"
)
_NO_RIGHT = "permission denied for"


async def store_arrivals(pool: Pool, arrivals: Sequence[Arrival]) -> list[Stored]:
    """Store the arrivals in one statement; return one answer per arrival, in the same order.

    All are committed when this returns. An event is known by provider and provider_event_id, and is
    stored once however often it arrives. Raises DatabaseUnavailable if the database can't store any
    row now, and asyncpg's own error if one of the rows can't be stored: then none is.
    """
    found = [Stored.STORED] * len(arrivals)
    traces = [arrival.traceparent for arrival in arrivals]
    is_traced = any(traces)
    try:
        seen = await pool.fetch(
            _STORE_TRACED if is_traced else _STORE,
            [arrival.provider for arrival in arrivals],
            [arrival.provider_event_id for arrival in arrivals],
            [arrival.event_type for arrival in arrivals],
            [arrival.payload for arrival in arrivals],
            [arrival.payload_sha256 for arrival in arrivals],
            [arrival.state for arrival in arrivals],
            [arrival.reason for arrival in arrivals],
            *([traces] if is_traced else []),
        )
    except BaseException as error:
        await expire_if_unfit(pool, error)
        if isinstance(error, Exception) and _is_no_rows_fault(error):
            raise unavailable(error) from error
        raise
    for row in seen:
        found[row["no"] - 1] = Stored.SEEN if row["same_body"] else Stored.CONFLICT
    return found


def _is_no_rows_fault(error: Exception) -> bool:
    """Return whether other rows would fail in the same way."""
    return (
        fate(error) is Fate.TRANSIENT
        or is_server_unfit(error)
        # No such schema, function or table: a release is half way or has not run yet, or somebody
        # dropped it. No value of a row causes that.
        or (sqlstate_of(error) or "").startswith(("3F", "42P", "427", "428"))
        # The function refuses a state with the same SQLSTATE, in other words.
        or (isinstance(error, asyncpg.InsufficientPrivilegeError) and _NO_RIGHT in str(error))
    )
