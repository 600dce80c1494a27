"""What the console shares with commands works with its own rights: the health, and every story."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from db.connections.pool import open_connection, open_pool
from db.operating import profile_queries, story_queries
from workers.cli.status.checks import CHECKS, Check, CheckContext
from workers.cli.status.health import Queue
from workers.cli.status.reading import read_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

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


LIFE = """
insert into auth.users (id) values
    ('00000000-0000-4000-8000-000000000001'), ('00000000-0000-4000-8000-000000000002');
insert into public.gift_types (code, name, coin_cost, streamer_share_bps, active)
values ('rose', 'Rose', 1, 5000, true) on conflict do nothing;
insert into public.live_streams (profile_id)
values ('00000000-0000-4000-8000-000000000002');
select public.process_coin_purchase(
    '00000000-0000-4000-8000-000000000001', 'app', 'evt_life', 'pay_life', 100, 1.00
);
select set_config('request.jwt.claims', '{"sub": "00000000-0000-4000-8000-000000000001"}', false);
select public.process_gift('00000000-0000-4000-8000-000000000002', 'rose', 'key_life');
insert into fleet.provider_calls (kind, key, request) values ('stripe.refund', 'call_life', '{}');
"""
SUBJECTS = (
    "event:1", "pay_life", "profile:00000000-0000-4000-8000-000000000001", "purchase:1", "gift:1",
    "stream:1", "call_life",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def life(console_database: Database) -> None:
    """Somebody buys coins and gives one away."""
    connection = await open_connection(console_database.url(), application_name="test")
    await connection.execute(LIFE)
    await connection.close()


@pytest.mark.usefixtures("life")
@pytest.mark.parametrize("typed", SUBJECTS)
async def test_the_story_of_anything_is_shown(viewer: httpx.AsyncClient, typed: str) -> None:
    answer = await viewer.get("/search", params={"id": typed}, follow_redirects=True)
    assert answer.status_code == 200
    assert '<ol class="story">\n<li>' in answer.text


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
