"""Stages the steps of an upgrade: judges each old row once, with the views of the schema upgrade.

A row moves, or is set aside with a reason. What is judged here, copying.py copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.legacy.scripts import LEGACY, run_script

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from db.release.generations import Generation

# Tables that were filled a moment ago: nobody else has analyzed them yet.
JUDGED_BY = "fleet.upgraded_users, public.live_streams, public.gift_types"


async def make_upgrade_schema(connection: Connection, generation: Generation) -> None:
    """Make the schema upgrade: the views and functions that the steps work with."""
    if not await connection.fetchval("select to_regnamespace('upgrade') is not null"):
        async with connection.transaction():
            await run_script(connection, "upgrade_schema.sql")
            await _view_given_users(connection)
            await _view_tables_without_a_place(connection, generation)
            await run_script(connection, f"{generation}/raw.sql")
            await run_script(connection, f"{generation}/proof.sql")
    for path in sorted((LEGACY / "copy").glob("*.sql")):
        await run_script(connection, f"copy/{path.name}")


async def _view_given_users(connection: Connection) -> None:
    """View the operator's table of old users and their profiles; an empty one if none was given."""
    users_table = await connection.fetchval(
        "select to_regclass(r.users_table)::text from fleet.upgrade_runs as r"
    )
    source = (
        f"select user_id::text as old_id, profile_id from {users_table}"  # noqa: S608 -- quoted
        if users_table
        else "select null::text as old_id, null::uuid as profile_id where false"
    )
    await connection.execute(f"create view upgrade.given_users as {source}")


async def _view_tables_without_a_place(connection: Connection, generation: Generation) -> None:
    """View all rows that the current schema has no place for; they are archived."""
    tables = await connection.fetch(
        """
        select quote_literal(t.table_name) as literal,
            format('%I.%I', $1::text, t.table_name) as name
        from fleet.upgrade_tables as t where not t.is_handled order by t.table_name
        """,
        generation.schema,
    )
    no_row = "select ''::text as source_table, ''::text as source_key, null::jsonb as source_row"
    selects = [
        f"{no_row} where false",
        *(
            f"select {row['literal']}, t.tableoid::text || t.ctid::text, to_jsonb(t)"  # noqa: S608
            f" from {row['name']} as t"
            for row in tables
        ),
    ]
    # The view keeps its name: an upgrade may have begun with the last release.
    await connection.execute(f"create view upgrade.homeless as {' union all '.join(selects)}")


async def is_staged(connection: Connection, step: str) -> bool:
    """Return whether an earlier run has judged the rows of this step."""
    return bool(
        await connection.fetchval(
            "select exists (select from fleet.upgrade_steps where step = $1)", step
        )
    )


async def stage(connection: Connection, generation: Generation, step: str) -> None:
    """Judge all rows of a step, in a transaction of its own."""
    async with connection.transaction():
        await connection.execute(f"analyze {JUDGED_BY}")
        if step == "openings":
            await run_script(connection, f"{generation}/trusted.sql")
        await run_script(connection, f"stage/{step}.sql")
        await connection.execute(
            f"""
            alter table upgrade.{step} add primary key (no);
            analyze upgrade.{step};
            insert into fleet.upgrade_steps (step, staged_rows)
            select '{step}', count(*) from upgrade.{step}
            """  # noqa: S608 -- a name of the plan
        )
