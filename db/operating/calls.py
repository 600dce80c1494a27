"""Calls to providers that an operator has made again, and what became of each.

Nothing here makes a call. Messages to the app are left to db/outbox/deliveries.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from db.connections.pool import Connection
    from db.operating.replaying import Request

# So many are put back per transaction; each is locked for moments.
BATCH_CALLS = 500


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it is now; `last_error` has status and code, never a part of an answer."""

    call_id: int
    kind: str
    state: str
    last_error: str | None


_CALL = "select c.id, c.kind, c.state, c.last_error from fleet.provider_calls as c"


async def find_dead_calls(connection: Connection, *, kinds: Collection[str] = ()) -> list[Call]:
    """Return the dead calls of these kinds, or of all but messages to the app, by id."""
    rows = await connection.fetch(
        f"{_CALL} where c.state = 'dead' and c.kind <> 'app.deliver'"
        " and (cardinality($1::text[]) = 0 or c.kind = any($1)) order by c.id",
        list(kinds),
    )
    return [Call(*row) for row in rows]


async def find_calls(
    connection: Connection, *, ids: Collection[int] = (), keys: Collection[str] = ()
) -> list[Call]:
    """Return the calls with these ids or keys, by id."""
    rows = await connection.fetch(
        f"{_CALL} where c.id = any($1) union {_CALL} where c.key = any($2) order by 1",
        list(ids),
        list(keys),
    )
    return [Call(*row) for row in rows]


async def replay_calls(
    connection: Connection, call_ids: Sequence[int], request: Request
) -> dict[int, str]:
    """Have up to BATCH_CALLS calls made again; return why others of them were left, by id."""
    rows = await connection.fetch(
        "select call_id, skipped from fleet.replay_calls($1, $2, $3, $4::jsonb)",
        call_ids,
        request.typed_by,
        request.reason,
        json.dumps(request.filter),
    )
    return {row["call_id"]: row["skipped"] for row in rows if row["skipped"]}
