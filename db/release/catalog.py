"""What a release left in the catalog, and what was lost or added since.

A restore without the roles, a dropped trigger or a revoked grant do not change the release's
records: only the catalog shows them. The comparison itself is SQL, fleet.catalog_differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from db.errors import CoinfleetError, is_transient, server_message
from db.release.schema import Kind, path_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from db.connections.pool import Connection, Pool
    from db.release.plan import Step

# What follows is the hash of a definition, which tells a person nothing.
_HASH = " = "
_GRANT = "grant "
# A table's own parts: only a migration makes them, and no release makes them again.
_OF_TABLES = ("column ", "constraint ", "index ")
# The functions of the schema fleet that are needed to compare.
_COMPARE_WITH = [
    *("catalog_differences", "catalog_items", "record_catalog", "watched_roles"),
    *("function_items", "relation_items", "role_items", "structure_items"),
]


class NotComparable(CoinfleetError):
    """The functions that compare fail here: a release has to apply its own text of them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A file of which the catalog holds less, or more, than the last release left.

    Both are empty for a file that no release has recorded yet.
    """

    kind: str
    name: str
    lacking: Sequence[str]
    added: Sequence[str]

    @property
    def path(self) -> str:
        """The file's path, for a reader."""
        return path_of(self.kind, self.name)

    @property
    def lost(self) -> list[str]:
        """What is gone or differs, in words: `trigger t on public.x`."""
        return [item.partition(_HASH)[0] for item in self.lacking]

    @property
    def lost_of_tables(self) -> list[str]:
        """The lost columns, constraints and indexes, which no release makes again, in words."""
        return [item for item in self.lost if item.startswith(_OF_TABLES)]

    @property
    def gained(self) -> list[str]:
        """What was added, in words: `grant select on public.x to anon`."""
        lost = set(self.lost)
        words = (item.partition(_HASH)[0] for item in self.added)
        return [word for word in words if word not in lost]


async def find_differences(database: Pool | Connection) -> list[Difference] | None:
    """Compare the catalog with what the last release left; return None if that is not possible.

    That is so before the first release that records it, and if a function that compares was
    dropped. Raises NotComparable if one is broken.
    """
    if not await database.fetchval(
        """
        select
            (
                select count(*) from pg_catalog.pg_proc as p
                where p.pronamespace = to_regnamespace('fleet') and p.proname = any($1)
            ) = cardinality($1)
            and exists (
                select from pg_catalog.pg_attribute as a
                where a.attrelid = to_regclass('fleet.schema_objects') and a.attname = 'items'
            )
        """,
        _COMPARE_WITH,
    ):
        return None
    try:
        rows = await database.fetch(
            "select kind, name, lacking, added from fleet.catalog_differences()"
        )
    except asyncpg.PostgresError as error:
        if is_transient(error):
            raise
        raise NotComparable(
            f"it can't be found out ({server_message(error)}): run `coinfleet migrate`"
        ) from error
    return [Difference(*row) for row in rows]


async def record(
    connection: Connection,
    changed: Iterable[Step],
    *,
    everything: bool,
    before: Collection[Difference] | None,
) -> list[Difference]:
    """Record what the catalog holds of the changed files; return what differs still.

    A file that was only applied again keeps its record: what still differs is somebody's change.
    `before` is what differed when the release began, or None if that is not known: if a table
    lacked something then and still does, no migration of this release dropped it, and it stays
    reported.
    """
    if await find_differences(connection) is None:
        return []
    steps = list(changed)
    await connection.execute(
        "select fleet.record_catalog($1, $2, $3)",
        everything,
        [step.kind for step in steps],
        [step.name for step in steps],
    )
    await connection.executemany(
        """
        update fleet.schema_objects as o
        set items = o.items || array(select i from unnest($3::text[]) as i where i <> all(o.items))
        where o.kind = $1 and o.name = $2
        """,
        [
            (each.kind, each.name, [item for item in each.lacking if item.startswith(_OF_TABLES)])
            for each in before or ()
            if each.lost_of_tables
        ],
    )
    if before is not None and any(step.kind == Kind.POLICY for step in steps):
        await _record_grants(connection, before)
    return await find_differences(connection) or []


async def _record_grants(connection: Connection, before: Collection[Difference]) -> None:
    """Record the grants of functions that the changed policies made or left out.

    They belong to the functions' files, which did not change. What differed before is not ours.
    """
    known = {(each.kind, each.name): {*each.lacking, *each.added} for each in before}
    for each in await find_differences(connection) or []:
        earlier = known.get((each.kind, each.name), set())
        made, left_out = (
            [item for item in items if item.startswith(_GRANT) and item not in earlier]
            for items in (each.added, each.lacking)
        )
        if made or left_out:
            await connection.execute(
                """
                update fleet.schema_objects as o
                set items = array(
                    select i from unnest(o.items || $3::text[]) as i
                    where i <> all($4::text[]) order by i
                )
                where o.kind = $1 and o.name = $2
                """,
                each.kind,
                each.name,
                made,
                left_out,
            )


def keys(differences: Collection[Difference]) -> set[tuple[str, str]]:
    """Return which files differ, by kind and name."""
    return {(difference.kind, difference.name) for difference in differences}
