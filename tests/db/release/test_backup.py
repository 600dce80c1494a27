"""docs/backup.md step by step: a dump, restored into a server that has none of our roles."""

from __future__ import annotations

import asyncio
import re
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from db import leaderboard, reconciliation
from db.connections.pool import open_connection, open_pool
from db.release import catalog
from db.release.runner import migrate, status
from db.release.schema import login_roles
from tasks.reconciliation import prove_new_entries
from tests.clusters import PASSWORD
from tests.conftest import NOT_DURABLE
from tests.db.books import Books, Payment, gift
from tests.db.release.exports import CATALOG
from tests.db.social.boards import GIFTERS, board, refresh
from tests.supabase.project import NOT_THERE
from tests.tasks.contexts import make_context
from workers.cli.status.checks import find_damage
from workers.embedded import EmbeddedPostgres
from workers.embedded.binaries import postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

NEW_OWNER = f"create role coinfleet_owner login createrole bypassrls password '{PASSWORD}'"
PASSWORDS = ";".join(f"alter role {role} password '{PASSWORD}'" for role in login_roles())
RIGHTS = re.compile(r"\{\w*=\S+/\w+(,\w*=\S+/\w+)*\}")
OWNERS = "coinfleet_owner="
EXPECTED_ERROR = re.compile(r'role "\w+" does not exist')


@pytest.fixture
def new_server(server_folder: Path) -> Iterator[str]:
    """A server that has only the owner and its empty database; return the owner's address."""
    server = EmbeddedPostgres(server_folder / "restored", settings=NOT_DURABLE)
    server.start()
    asyncio.run(_empty(server.superuser_url))
    yield _address(server.superuser_url, "owner")
    server.stop()


async def _empty(superuser_url: str) -> None:
    superuser = await asyncpg.connect(superuser_url)
    await superuser.execute("drop database coinfleet")
    await superuser.execute(f"drop role {', '.join(NOT_THERE)}")
    await superuser.execute(NEW_OWNER)
    if superuser.get_server_version().major < 16:
        await superuser.execute("create role service_role nologin noinherit bypassrls")
    await superuser.execute("create database coinfleet owner coinfleet_owner")
    await superuser.close()


def _address(url: str, login: str) -> str:
    address = urlsplit(url).netloc.rpartition("@")[2]
    return f"postgresql://coinfleet_{login}:{PASSWORD}@{address}/coinfleet"


async def move(database: Database, owner_url: str, folder: Path) -> list[str]:
    """Dump and restore with the commands of docs/backup.md; return the errors."""
    dump = folder / "coinfleet.dump"
    await _run("pg_dump", "--format=custom", f"--file={dump}", database.url())
    told = await _run("pg_restore", "--no-owner", f"--dbname={owner_url}", str(dump), may_fail=True)
    return [line for line in told.splitlines() if "ERROR" in line]


async def _run(program: str, *arguments: str, may_fail: bool = False) -> str:
    result = await asyncio.to_thread(
        subprocess.run,
        [postgres_bin() / program, *arguments],
        capture_output=True,
        text=True,
        check=not may_fail,
    )
    return result.stderr


async def catalog_of(connection: Connection) -> set[tuple[object, ...]]:
    """Return all that our schemas hold, whether the owner's own rights are listed or implied."""
    await connection.execute("set search_path = ''")
    return {tuple(map(_rights, row)) for row in await connection.fetch(CATALOG)}


def _rights(value: str | None) -> str | None:
    if value is None or not RIGHTS.fullmatch(value):
        return value
    others = sorted(each for each in value[1:-1].split(",") if not each.startswith(OWNERS))
    return str(others) if others else None


async def test_books_that_were_moved_are_whole_and_go_on(
    books: Books, database: Database, worker_pool: Pool, new_server: str, tmp_path: Path
) -> None:
    sender, streamer = await books.profiles(2)
    payment = Payment()
    await books.apply(payment.bought(sender, units=3), Payment().worth(sender, 25_001))
    await books.apply(payment.refund(40), gift(sender, streamer, 7))
    await refresh(books)
    await prove_new_entries(make_context(worker_pool))

    errors = await move(database, new_server, tmp_path)
    assert [error for error in errors if not EXPECTED_ERROR.search(error)] == []
    owner = await open_connection(new_server, application_name="test")
    restored = Books(owner)
    assert "damaged" in {row.state for row in await status(new_server)}
    assert (await migrate(new_server)).different == ()
    assert await catalog.find_differences(owner) == []
    assert (await migrate(new_server)).steps == ()
    assert await catalog_of(owner) == await catalog_of(books.db)
    assert await restored.breaches() == {}

    await owner.execute(PASSWORDS)
    worker = await open_pool(_address(new_server, "worker"), application_name="test", max_size=4)
    assert await reconciliation.prove_new_entries(worker) is None
    await prove_new_entries(make_context(worker))
    assert (await reconciliation.read_status(owner)).violations == 0
    await restored.apply(gift(sender, streamer, 2))
    while not await leaderboard.refresh_leaderboard(worker):
        pass
    worker.terminate()
    assert await board(restored, GIFTERS) == [(sender, 9)]
    assert await restored.coins(sender) == 300 - 40 - 9
    assert await restored.breaches() == {}
    owner.terminate()


async def test_status_names_what_a_restore_without_the_roles_lacks(
    database: Database, new_server: str, tmp_path: Path
) -> None:
    await move(database, new_server, tmp_path)
    pool = await open_pool(new_server, application_name="test", max_size=1)
    lines = await find_damage(pool)
    pool.terminate()
    assert lines[0].startswith("the database lacks what the release made: ")
    assert "run `coinfleet migrate`" in lines[0]
