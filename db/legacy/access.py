"""Keeps clients and processes out of a database while an upgrade has moved only part of its coins.

What is revoked is written to fleet.upgrade_runs.closed_doors, from where it is granted again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection

# Everybody (public) may use the schema public until that is revoked too.
_GRANTED = """
select distinct n.nspname::text as schema, w.name as role
from pg_namespace as n
cross join lateral aclexplode(n.nspacl) as a
join fleet.watched_roles() as w on w.role = a.grantee
where n.nspname in ('public', 'fleet') and a.privilege_type = 'USAGE'
order by 1, 2
"""


async def revoke_access(connection: Connection) -> None:
    """Revoke usage of our schemas from API roles and processes; /readyz is 503 from then on."""
    async with connection.transaction():
        for row in await connection.fetch(_GRANTED):
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


async def grant_access_again(connection: Connection) -> None:
    """Grant what was revoked, in the caller's transaction."""
    rows = await connection.fetch(
        """
        select distinct d.usage ->> 0 as schema, d.usage ->> 1 as role
        from fleet.upgrade_runs as r
        cross join lateral jsonb_array_elements(r.closed_doors) as d (usage)
        """
    )
    for row in rows:
        await connection.execute(f"grant usage on schema {row['schema']} to {row['role']}")
