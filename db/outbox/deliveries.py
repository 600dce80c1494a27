"""Messages to the app, as an operator sees them: what was given up or waits, and sent again.

A message keeps its id however often it is sent, so the app can tell a repeated one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from db.connections.pool import open_connection
from db.connections.roles import check_owner
from db.connections.servers import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from db.connections.pool import Connection, Pool

KIND = "app.deliver"
# So many messages are put back per transaction: a worker that needs one of them waits for moments.
BATCH_MESSAGES = 5_000

_ID = "select c.id, c.request = '{}' as is_erased from fleet.provider_calls as c where c.kind = $1"
_WAITING = f"{_ID} and c.state = 'pending'"
_DEAD = f"{_ID} and c.state = 'dead'"
_SINCE = " union all ".join(
    f"({_ID} and {which} and c.created_at >= $2)"
    for which in (
        "c.state = 'pending'",
        "c.state = 'dead'",
        # Taken after it was written, and found by that time.
        "c.state = 'done' and c.request <> '{}' and c.finished_at >= $2",
    )
)
_NAMED = f"{_ID} and c.key = any($2::text[])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which messages: those that were given up, those since a time, or those with these ids.

    With none of the three, those that wait.
    """

    dead: bool = False
    since: datetime | None = None
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who wants messages sent again, why, and by which choice: kept with each batch."""

    typed_by: str
    reason: str
    detail: dict[str, object]


@dataclass(frozen=True, slots=True)
class Found:
    """The messages that can be sent again, and how many cannot: their text was erased."""

    ids: list[int]
    erased: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Why nothing is sent to the app, and since when."""

    reason: str
    paused_s: float


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Messages that the app has not taken: how many, and the oldest.

    `failing_s` is the time since that one was first tried; None if none of them was ever tried.
    """

    messages: int
    oldest_id: str
    oldest_s: float
    last_error: str | None
    failing_s: float | None


# By state, as a constant, so that the index of that state is used; inside, so that the planner does
# not look for the first of them among all calls that were ever made.
UNDELIVERED = {
    state: f"""
        select count(*) over (), u.key,
            extract(epoch from clock_timestamp() - u.created_at)::float8, u.last_error,
            extract(epoch from clock_timestamp() - min(u.first_attempt_at) over ())::float8
        from (
            select c.id, c.key, c.created_at, c.last_error, c.first_attempt_at
            from fleet.provider_calls as c
            where c.kind = $1 and c.state = '{state}'
                and c.created_at <= clock_timestamp() - coalesce($2::interval, '0')
            offset 0
        ) as u
        order by u.id
        limit 1
    """  # noqa: S608 - constants
    for state in ("pending", "dead")
}


@asynccontextmanager
async def replay_session(url: str) -> AsyncIterator[Connection]:
    """Give a session of the schema's owner. Raises DatabaseUnavailable, NotTheOwner."""
    connection = await open_connection(url, application_name="coinfleet replay")
    try:
        await check_owner(connection, url=url)
        yield connection
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def find_messages(connection: Connection, wanted: Wanted) -> Found:
    """Return which messages are meant; each is found by an index."""
    if wanted.names:
        rows = await connection.fetch(_NAMED, KIND, list(wanted.names))
    elif wanted.since is not None:
        rows = await connection.fetch(_SINCE, KIND, wanted.since)
    else:
        rows = await connection.fetch(_DEAD if wanted.dead else _WAITING, KIND)
    ids = [row["id"] for row in rows if not row["is_erased"]]
    return Found(sorted(ids), len(rows) - len(ids))


async def send_again(connection: Connection, ids: Sequence[int], order: Order) -> tuple[int, bool]:
    """Have messages sent now, under their ids, and end the pause; note who wanted it.

    Return how many messages no worker has in hand, and whether there was a pause. Each transaction
    writes its own note.
    """
    sent, was_paused = 0, False
    # At least once, for the pause alone.
    for at in range(0, max(len(ids), 1), BATCH_MESSAGES):
        [(sent_ids, has_ended)] = await connection.fetch(
            "select sent, ended_pause from fleet.replay_deliveries($1, $2, $3, $4::jsonb)",
            ids[at : at + BATCH_MESSAGES],
            order.typed_by,
            order.reason,
            json.dumps(order.detail),
        )
        sent += len(sent_ids)
        was_paused = was_paused or has_ended
    return sent, was_paused


async def read_pause(database: Pool | Connection) -> Pause | None:
    """Return the pause that the app asked for, if there is one."""
    row = await database.fetchrow(
        "select reason, extract(epoch from clock_timestamp() - paused_at)::float8"
        " from fleet.call_pauses where kind = $1",
        KIND,
    )
    return Pause(*row) if row else None


async def read_undelivered(
    pool: Pool, *, state: Literal["pending", "dead"], longer_than: timedelta | None = None
) -> Undelivered | None:
    """Return the messages that are `pending` for so long, or `dead`; None if there is none."""
    row = await pool.fetchrow(UNDELIVERED[state], KIND, longer_than)
    return Undelivered(*row) if row else None
