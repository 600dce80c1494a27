"""Keeps clients and processes out of a database whose balances are half way.

What is taken away is written to fleet.upgrade_runs, from where it is given back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection

# Everybody may use public until that is taken away too.
_OPEN_DOORS = """
select distinct n.nspname::text as schema, w.name as role
from pg_namespace as n
cross join lateral aclexplode(n.nspacl) as a
join fleet.watched_roles() as w on w.role = a.grantee
where n.nspname in ('public', 'fleet') and a.privilege_type = 'USAGE'
order by 1, 2
"""


async def close_doors(connection: Connection) -> None:
    """Take usage of our schemas from API roles and processes; /readyz is 503 from then on."""
    async with connection.transaction():
        for row in await connection.fetch(_OPEN_DOORS):
            await connection.execute(f"revoke usage on schema {row['schema']} from {row['role']}")
            await connection.execute(
                """
                update fleet.upgrade_runs
                set closed_doors = closed_doors
                    || jsonb_build_array(jsonb_build_array($1::text, $2::text))
                """,
                row["schema"],
                row["role"],
            )


async def open_doors(connection: Connection) -> None:
    """Give back what was taken, in the caller's transaction."""
    rows = await connection.fetch(
        """
        select distinct d.door ->> 0 as schema, d.door ->> 1 as role
        from fleet.upgrade_runs as r
        cross join lateral jsonb_array_elements(r.closed_doors) as d (door)
        """
    )
    for row in rows:
        await connection.execute(f"grant usage on schema {row['schema']} to {row['role']}")
