"""Databases with much history, and the plans of the console's questions there."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from db.connections.pool import open_connection
from tests.db.plans import indexes, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clusters import Cluster, Database

# At this size a table is as cheap as its index, so only whether there is one counts.
FEW = 100
LOAD_S = 600.0


class History(NamedTuple):
    """A database with so many rows in each table that is asked about."""

    database: Database
    rows: int
    off: str
    """What the planner does without among few rows, besides sequential scans."""

    async def used(self, sql: str, *values: object) -> set[str | None]:
        """The indexes that the console's plan uses; None is a table that is read whole."""
        connection = await open_connection(self.database.url("console"), application_name="test")
        try:
            if self.rows == FEW:
                await connection.execute(f"set enable_seqscan = off; set {self.off} = off")
            return indexes(await plan(connection, sql, *values))
        finally:
            connection.terminate()


@contextmanager
def history_of(
    cluster: Cluster,
    template: Database,
    sql: str,
    rows: int,
    *,
    then: str | None = None,
    off: str = "enable_bitmapscan",
) -> Iterator[History]:
    """Make a database and load it, for a fixture of a module; `then` runs by itself."""

    async def load(database: Database) -> None:
        connection = await open_connection(
            database.url("superuser"), application_name="test", statement_timeout="600000"
        )
        await connection.execute(sql, timeout=LOAD_S)
        if then is not None:
            await connection.execute(then)
        await connection.close()

    database = asyncio.run(cluster.create(template.name))
    asyncio.run(load(database))
    yield History(database, rows, off)
    asyncio.run(cluster.drop(database))
