"""`coinfleet upgrade` as an operator types it, and killed at bad moments."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.connections.pooler import PoolerUndeclared, SessionNeeded
from db.release.generations import Generation
from tests.db.legacy.platforms import Interrupted, contents, definitions, person, stop_at, upgraded
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.workers.cli.operators import coinfleet

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Iterator

    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.db.legacy.platforms import Finished, Look

pytestmark = pytest.mark.requirement("G1")

COINFLEET = Path(sys.executable).with_name("coinfleet")
PATIENCE_S = 60
BLOCKED = """
select exists (
    select from pg_stat_activity
    where application_name = 'coinfleet upgrade' and datname = current_database()
        and cardinality(pg_blocking_pids(pid)) > 0
)
"""
CONNECTED = """
select exists (
    select from pg_stat_activity
    where application_name = 'coinfleet upgrade' and datname = current_database()
)
"""


class Operator:
    """Runs the command against one database."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.environment = os.environ | {
            "DATABASE_URL": database_url,
            "COINFLEET_DATA_DIR": str(folder),
            "COLUMNS": "160",
        }

    async def start(self, *words: str) -> Process:
        """Start it."""
        return await asyncio.create_subprocess_exec(
            COINFLEET,
            "upgrade",
            "--from",
            "first",
            *words,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *words: str) -> tuple[int | None, str]:
        """Run it; return its exit code and what it printed."""
        process = await self.start(*words)
        printed, _ = await process.communicate()
        return process.returncode, printed.decode()


@pytest_asyncio.fixture
async def db(first: Database) -> AsyncIterator[Connection]:
    """A connection to the platform."""
    connection = await open_connection(first.url(), application_name="test")
    yield connection
    connection.terminate()


@pytest.fixture
def operator(first: Database, tmp_path: Path) -> Operator:
    """The operator of that platform."""
    return Operator(first.url(), tmp_path)


async def until(connection: Connection, condition: str, *, holds: bool = True) -> None:
    """Wait until a condition holds in the database, or no longer does."""
    async with asyncio.timeout(PATIENCE_S):
        while await connection.fetchval(condition) is not holds:  # noqa: ASYNC110 -- the server's
            await asyncio.sleep(0.01)  # between two looks


async def kill(process: Process, connection: Connection) -> None:
    """Kill the process, and wait until the server has noticed."""
    process.kill()
    await process.wait()
    await until(connection, CONNECTED, holds=False)


@pytest.mark.long
async def test_the_operator_sees_the_proof_and_the_second_time_that_nothing_is_to_do(
    operator: Operator, db: Connection
) -> None:
    before = await contents(db)
    code, printed = await operator.run("--dry-run")
    assert (code, "This was a dry run: nothing was changed." in printed) == (0, True), printed
    assert await contents(db) == before
    code, printed = await operator.run("--batch-rows", "50")
    assert code == 0, printed
    assert "Every row and every coin is accounted for; every invariant holds." in printed
    assert "duplicate_payment_id" in printed
    code, printed = await operator.run()
    assert (code, printed.startswith("Nothing to do")) == (0, True), printed


@pytest.mark.long
@pytest.mark.parametrize("columns", ["40", "80", ""])
async def test_the_numbers_that_are_proved_are_printed_whole(
    operator: Operator, db: Connection, columns: str
) -> None:
    """In a terminal of any width, and in a file."""
    await db.execute("update coins set balance = 1234567890 where user_id = 1")
    operator.environment["COLUMNS"] = columns
    code, printed = await operator.run("--dry-run")
    coins = await db.fetchval("select sum(balance) from coins")
    assert code == 0
    assert f"{coins:,}" in printed
    assert "quarantined" in printed
    assert "…" not in printed


@pytest.mark.long
@pytest.mark.parametrize("is_begun", [False, True], ids=["older", "half way"])
async def test_commands_that_come_too_early_name_the_upgrade_and_not_migrate(
    first: Database, *, is_begun: bool
) -> None:
    """`migrate` would refuse, and name the upgrade."""
    if is_begun:
        with pytest.raises(Interrupted):
            await upgraded(first, Generation.FIRST, on_progress=stop_at("follows"))
    ended = coinfleet("status", DATABASE_URL=first.url())
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "run `coinfleet upgrade --from first`" in ended.stderr
    assert "coinfleet migrate" not in ended.stderr


@pytest.mark.long
@pytest.mark.parametrize("other", [["--dry-run"], ["--users-table", "public.mapping"]])
async def test_taking_it_back_is_not_tried_and_changes_nothing_where_it_was_asked_to_be(
    operator: Operator, db: Connection, other: list[str]
) -> None:
    assert (await operator.run())[0] == 0
    before = await contents(db)
    code, printed = await operator.run("--undo", *other)
    assert (code, f"can't be given with {other[0]}" in printed) == (2, True), printed
    assert await contents(db) == before


async def test_what_is_missing_is_one_message_and_exit_1(
    operator: Operator, db: Connection
) -> None:
    await db.execute("drop table public.gifts, public.user_profiles")
    code, printed = await operator.run()
    assert code == 1
    assert "public.gifts is missing" in printed
    assert "public.user_profiles is missing" in printed
    assert "Traceback" not in printed


@pytest.mark.long
@needs_pgbouncer
@pytest.mark.parametrize("words", [[], ["--dry-run"], ["--undo"]])
async def test_through_a_transaction_pooler_it_is_refused_in_one_line(
    first: Database, db: Connection, tmp_path: Path, words: list[str]
) -> None:
    before = await definitions(db)
    with pooling(tmp_path, first, "transaction") as pooler:
        address = pooler.url(first.url())
        code, printed = await Operator(address, tmp_path).run(*words)
        assert (code, printed) == (2, f"coinfleet: {SessionNeeded()}\n")
        # An address that does not name the pooler is refused too.
        code, printed = await Operator(address.partition("?")[0], tmp_path).run(*words)
        assert (code, printed) == (2, f"coinfleet: {PoolerUndeclared()}\n")
    assert await definitions(db) == before


@pytest.mark.long
@needs_pgbouncer
async def test_through_a_pooler_that_gives_whole_sessions_it_runs(
    first: Database, db: Connection, tmp_path: Path
) -> None:
    with pooling(tmp_path, first, "session") as pooler:
        operator = Operator(pooler.url(first.url()), tmp_path)
        code, printed = await operator.run()
    assert code == 0, printed
    assert await db.fetchval("select finished_at is not null from fleet.upgrade_runs")


@contextmanager
def pooling(
    folder: Path, database: Database, mode: Literal["session", "transaction"]
) -> Iterator[PgBouncer]:
    """PgBouncer before the platform."""
    pooler = PgBouncer(folder, [database.url()], sessions=2, mode=mode)
    pooler.start()
    try:
        yield pooler
    finally:
        pooler.stop()


@pytest.mark.long
@pytest.mark.faults
async def test_killed_while_it_waits_for_the_old_tables_it_has_moved_nothing(
    operator: Operator, db: Connection, first: Database
) -> None:
    before = await definitions(db)
    async with db.transaction():
        await db.execute("lock table public.coins in row exclusive mode")
        watcher = await open_connection(first.url(), application_name="test")
        process = await operator.start()
        await until(watcher, BLOCKED)
        await kill(process, watcher)
        watcher.terminate()
    assert await definitions(db) == before


@pytest.mark.long
@pytest.mark.faults
async def test_killed_in_the_middle_of_its_release_it_has_let_nobody_in(
    operator: Operator, db: Connection, first: Database
) -> None:
    async with db.transaction():
        await db.execute("lock table auth.users in access exclusive mode")
        watcher = await open_connection(first.url(), application_name="test")
        process = await operator.start()
        await until(watcher, BLOCKED)
        await kill(process, watcher)
        watcher.terminate()
    # The old tables have moved, and nothing of the release is there: it grants usage at first.
    assert await db.fetchval("select to_regclass('legacy_first.coins') is not null")
    assert await db.fetchval("select to_regclass('fleet.schema_objects') is null")
    code, printed = await operator.run()
    assert code == 0, printed


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("step", ["people", "purchases", "gifts"])
async def test_killed_in_the_middle_of_a_batch_it_goes_on_without_a_trace(
    finished: Finished, operator: Operator, first: Database, look: Look, step: str
) -> None:
    db = await look(first)
    # To the end of the step's first batch …
    with pytest.raises(Interrupted):
        await upgraded(first, Generation.FIRST, batch_rows=20, on_progress=stop_at(step))
    done = await db.fetchval("select done_rows from fleet.upgrade_steps where step = $1", step)
    watcher = await look(first)
    async with db.transaction():
        # … and into the second, where it waits for a lock that somebody holds.
        await db.execute("select 1 from public.profiles where id = $1 for update", person(40))
        await db.execute("lock table fleet.quarantine, public.ledger_entries in share mode")
        process = await operator.start("--batch-rows", "50")
        await until(watcher, BLOCKED)
        await kill(process, watcher)
    progress = "select done_rows from fleet.upgrade_steps where step = $1"
    assert await db.fetchval(progress, step) == done
    code, printed = await operator.run("--batch-rows", "50")
    assert code == 0, printed
    assert await books(db) == await books(await look(finished[Generation.FIRST][0]))


async def books(connection: Connection) -> list[tuple[object, ...]]:
    """Return the ledger without the numbers that a killed batch used up."""
    rows = await connection.fetch(
        """
        select profile_id, account, seq, amount, balance_after, reason,
            regexp_replace(idempotency_key, '^(reversal:\\d+):.*', '\\1') as key
        from public.ledger_entries order by key, leg
        """
    )
    quarantined = await connection.fetch(
        "select source_table, source_key, reason, coins from fleet.quarantine order by 1, 2, 3"
    )
    return [tuple(row) for row in (*rows, *quarantined)]
