"""What the console may do in the database: read the listed columns, and call what its policy lists.

That it executes no other function is a rule of tests/db/release/test_catalog.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.db.access.console_columns import READABLE

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import Connect

pytestmark = pytest.mark.requirement("F")

COLUMNS = """
    select format('%s.%I', c.relnamespace::regnamespace, c.relname) as table, a.attname::text
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace::regnamespace::text in ('fleet', 'public') and c.relkind in ('r', 'p')
"""
RECORDS = {"fleet.schema_migrations", "fleet.schema_objects"}
# What must never be among the columns, whoever adds to the list.
SECRET = {"payload", "request", "result", "token_hash", "ip_address", "user_agent", "username"}


async def is_refused(connection: Connection, sql: str) -> bool:
    try:
        await connection.prepare(sql)
    except asyncpg.InsufficientPrivilegeError:
        return True
    try:
        async with connection.transaction():
            await connection.fetch(sql)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def test_the_console_reads_the_listed_columns_and_no_other(connect: Connect) -> None:
    owner, console = await connect(), await connect("console")
    readable: dict[str, set[str]] = {}
    for table, column in await owner.fetch(COLUMNS):
        if table not in RECORDS and not await is_refused(
            console, f'select "{column}" from {table} limit 0'
        ):
            readable.setdefault(table, set()).add(column)
    assert readable == {table: set(columns.split()) for table, columns in READABLE.items()}
    assert not SECRET & {column for columns in readable.values() for column in columns}


async def test_the_console_writes_no_table(connect: Connect) -> None:
    owner, console = await connect(), await connect("console")
    for table in {row["table"] for row in await owner.fetch(COLUMNS)}:
        assert await is_refused(console, f"insert into {table} default values"), table
        assert await is_refused(console, f"delete from {table}"), table


async def test_what_the_console_reads_is_recorded_with_its_own_policy(connect: Connect) -> None:
    # Else a release that lets it read more would be reported as somebody's change.
    owner = await connect()
    files = await owner.fetch(
        "select distinct c.kind || ' ' || c.name as file from fleet.catalog_items() as c"
        " cross join unnest(c.items) as i (item)"
        " where (i.item like '%coinfleet\\_console' or i.item like 'policy console%')"
        " and i.item not like 'role %' and i.item not like '% on function %'"
    )
    assert {row["file"] for row in files} == {"policy console"}


async def test_row_level_security_hides_no_row_from_the_console(connect: Connect) -> None:
    owner, console = await connect(), await connect("console")
    await owner.execute("insert into auth.users (id) values (gen_random_uuid())")
    await owner.execute("insert into public.live_streams (profile_id) select id from auth.users")
    for table in ("profiles", "live_streams"):
        assert await console.fetchval(f"select count(id) from public.{table}") == 1, table
