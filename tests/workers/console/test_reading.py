"""What the console shares with commands works with its own rights: the health, and every story."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from db.connections.pool import open_pool
from db.operating import profile_queries, story_queries
from workers.cli.status.checks import CHECKS, Check, CheckContext
from workers.cli.status.health import Queue
from workers.cli.status.reading import read_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database


@pytest_asyncio.fixture
async def console_pool(console_database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(console_database.url("console"), application_name="test", max_size=2)
    yield pool
    pool.terminate()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_console_may_ask_each_question_of_the_health(
    console_pool: Pool, check: Check
) -> None:
    now = await console_pool.fetchval("select clock_timestamp()")
    context = CheckContext(pool=console_pool, now=now, held_after=timedelta(0))
    assert isinstance(await check(context), list)


async def test_the_console_reads_the_same_health_as_status(
    console_pool: Pool, console_database: Database
) -> None:
    owners = await open_pool(console_database.url(), application_name="test", max_size=2)
    queue, held_after = Queue(reachable=None, waiting=None), timedelta(minutes=30)
    ours, theirs = [
        await read_database(pool, queue, held_after=held_after, timeout_s=5.0)
        for pool in (console_pool, owners)
    ]
    owners.terminate()
    assert ours.attention == theirs.attention
    assert ours.events == theirs.events


def queries() -> list[tuple[str, str]]:
    """Each question of a story, by where it stands."""
    found = []
    for module in (story_queries, profile_queries):
        for name, value in vars(module).items():
            if isinstance(value, dict) and not name.startswith("_"):
                found += [(f"{name}.{what}", sql) for what, sql in value.items()]
            elif isinstance(value, str) and "$1" in value and not name.startswith("_"):
                found.append((name, value))
    return found


@pytest.mark.parametrize(("name", "sql"), queries(), ids=[name for name, _ in queries()])
async def test_the_console_may_ask_each_question_of_a_story(
    console_pool: Pool, name: str, sql: str
) -> None:
    connection: Connection
    async with console_pool.acquire() as connection:
        prepared = await connection.prepare(sql)
        values = [
            [] if each.kind == "array" else 0 if each.name == "int8" else None
            for each in prepared.get_parameters()
        ]
        try:
            await prepared.fetch(*values)
        except asyncpg.InsufficientPrivilegeError as error:
            raise AssertionError(f"{name}: {error}") from error
    assert not re.search(r"\bpayload\b(?!_)", sql)
