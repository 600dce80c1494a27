"""The release's records in a database: which files were applied there, with which text.

They are the tables fleet.schema_migrations and fleet.schema_objects.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from db.release.plan import Record
from db.release.schema import Kind

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.release.plan import Records, Step

# What makes the two tables.
TABLES = Path(__file__).with_name("records.sql")
# In place of the checksum of a function whose file is gone. Its row stays, because an older release
# that still runs looks there for each of its functions (db/release/compatibility.py).
REMOVED = "removed"


async def lacks_records(connection: Connection) -> bool:
    """Return whether no release has worked on this database yet."""
    return bool(await connection.fetchval("select to_regclass('fleet.schema_objects') is null"))


async def read_records(connection: Connection) -> Records:
    """Return the record of each file that was applied and is not gone, by kind and name."""
    rows = await connection.fetch(
        """
        select 'migration' as kind, name, checksum, applied_at from fleet.schema_migrations
        union all
        select kind, name, checksum, applied_at from fleet.schema_objects where checksum <> $1
        """,
        REMOVED,
    )
    return {(row["kind"], row["name"]): Record(**row) for row in rows}


async def record_step(connection: Connection, step: Step) -> None:
    """Record that a step was taken, in the transaction in which it was."""
    if step.checksum is None and step.kind == Kind.FUNCTION:
        await connection.execute(
            """
            update fleet.schema_objects set checksum = $3, applied_at = clock_timestamp()
            where kind = $1 and name = $2
            """,
            step.kind,
            step.name,
            REMOVED,
        )
    elif step.checksum is None:
        await connection.execute(
            "delete from fleet.schema_objects where kind = $1 and name = $2", step.kind, step.name
        )
    elif step.kind == Kind.MIGRATION:
        await connection.execute(
            "insert into fleet.schema_migrations (version, name, checksum) values ($1, $2, $3)",
            int(step.name[:14]),
            step.name,
            step.checksum,
        )
    else:
        await connection.execute(
            """
            insert into fleet.schema_objects (kind, name, checksum) values ($1, $2, $3)
            on conflict (kind, name) do update
                set checksum = excluded.checksum, applied_at = clock_timestamp()
            """,
            step.kind,
            step.name,
            step.checksum,
        )
