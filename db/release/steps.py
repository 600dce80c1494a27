"""The steps of a release: each is one short transaction that applies a file and records it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import asyncpg

from db.errors import is_transient
from db.release.records import TABLES, lacks_records, record_step
from db.release.schema import Kind, SchemaProblem

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.release.plan import Step

# With the pauses between them, about half a minute of trying.
TRIES = 12
LONGEST_PAUSE_S = 2.0
_TAKEN = (
    "a function with this name and these arguments is here already and isn't this release's:"
    " rename it; nothing of it was changed"
)


class StepFailed(SchemaProblem):
    """A file could not be applied; `line` is where PostgreSQL stopped, if it says so."""

    def __init__(
        self, path: str, reason: str, *, line: int | None = None, sqlstate: str | None = None
    ) -> None:
        place = f"{path}, line {line}" if line else path
        code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
        super().__init__(f"{place}: {reason}{code}")
        self.path = path
        self.line = line
        self.sqlstate = sqlstate


async def make_records(connection: Connection) -> None:
    """Make the tables of the release's records, unless they are there. Raises StepFailed."""
    if await lacks_records(connection):
        sql = TABLES.read_text(encoding="utf-8")
        async with connection.transaction():
            await _execute(connection, "db/release/records.sql", sql)


async def take_step(connection: Connection, step: Step, *, is_new: bool) -> None:
    """Take one step in its own transaction, again after a lock timeout or a deadlock.

    `is_new` says that no release has applied this file here. Raises StepFailed.
    """
    for tried in range(1, TRIES + 1):
        try:
            async with connection.transaction():
                before = await _functions_named(connection, step) if is_new else []
                # A file that is gone may leave nothing to drop, and an empty query has no answer.
                if step.sql:
                    await _execute(connection, step.path, step.sql)
                if before and before == await _functions_named(connection, step):
                    raise StepFailed(step.path, _TAKEN)
                await record_step(connection, step)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if tried == TRIES:
                raise StepFailed(step.path, f"never got its locks in {TRIES} tries") from error
            await asyncio.sleep(_pause_s(tried))
        else:
            return


async def _functions_named(connection: Connection, step: Step) -> list[int]:
    """Return the oids of functions that have the name of a step's.

    The same ones before and after a new file was applied: it replaced somebody else's.
    """
    if step.kind != Kind.FUNCTION:
        return []
    return (
        await connection.fetchval(
            """
        select array_agg(oid order by oid) from pg_proc
        where pronamespace::regnamespace::text || '.' || proname = $1
        """,
            step.name,
        )
        or []
    )


def _pause_s(tried: int) -> float:
    """Return a pause that doubles with each try, at random, so that two never keep in step."""
    return min(LONGEST_PAUSE_S, 0.1 * 2.0**tried) * random.uniform(0.5, 1)  # noqa: S311 -- no secret


async def _execute(connection: Connection, path: str, sql: str) -> None:
    try:
        await connection.execute(sql)
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        raise StepFailed(
            path, _explain(error), line=_line(error, sql), sqlstate=error.sqlstate
        ) from error
    if not connection.is_in_transaction():
        raise StepFailed(path, "it ends the transaction it runs in; leave that to the runner")


def _explain(error: asyncpg.PostgresError) -> str:
    parts = (str(error), error.detail, error.hint, error.context)
    return "; ".join(part.replace("\n", " ") for part in parts if part)


def _line(error: asyncpg.PostgresError, sql: str) -> int | None:
    """Turn PostgreSQL's offset, which counts characters from 1, into a line of the file."""
    return sql.count("\n", 0, int(error.position) - 1) + 1 if error.position else None
