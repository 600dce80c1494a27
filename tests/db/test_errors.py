"""Errors of the database, as Python sees them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.errors import SQLSTATES, StoreUnavailable, UnknownProfile, is_transient, refusal
from db.schema import FOLDER

if TYPE_CHECKING:
    from db.pool import Connection, Pool
    from tests.conftest import Connect

README = Path(__file__).parents[2] / "README.md"


async def raised(connection: Connection, statement: str) -> BaseException:
    """The error that a statement ends in."""
    with pytest.raises(Exception) as caught:
        await connection.execute(statement)
    return caught.value


def test_each_sqlstate_that_sql_raises_has_its_class() -> None:
    quoted = re.compile(r"'(CF[0-9A-Z]{3})'")
    texts = (path.read_text() for path in FOLDER.rglob("*.sql"))
    assert {state for text in texts for state in quoted.findall(text)} == set(SQLSTATES)


def test_each_sqlstate_stands_in_readmes_table() -> None:
    rows = re.findall(r"^\| `(CF[0-9A-Z]{3})` \|", README.read_text(), flags=re.MULTILINE)
    assert rows == sorted(SQLSTATES)


async def test_a_refusal_becomes_its_class_and_keeps_its_reason(db: Connection) -> None:
    error = await raised(db, "select fleet.raise_refusal('unknown_sender')")
    assert isinstance(error, asyncpg.PostgresError)
    refused = refusal(error)
    assert isinstance(refused, UnknownProfile)
    assert refused.reason == "unknown_sender"


async def test_an_error_that_is_no_refusal_stays_what_it_is(db: Connection) -> None:
    error = await raised(db, "select 1 / 0")
    assert isinstance(error, asyncpg.PostgresError)
    assert refusal(error) is None
    assert not is_transient(error)


async def test_a_killed_session_is_transient_now_and_on_its_next_use(connect: Connect) -> None:
    victim, killer = await connect("worker"), await connect("superuser")
    await killer.execute("select pg_terminate_backend($1, 5000)", victim.get_server_pid())
    assert is_transient(await raised(victim, "select 1"))
    assert is_transient(await raised(victim, "select 1"))


async def test_a_statement_timeout_is_transient(db: Connection) -> None:
    statement = "set statement_timeout = 1; select pg_sleep(60)"
    assert is_transient(await raised(db, statement))


async def test_a_unique_violation_is_not_transient(db: Connection) -> None:
    copy = "insert into fleet.schema_migrations select * from fleet.schema_migrations"
    assert not is_transient(await raised(db, copy))


async def test_a_misused_connection_is_not_transient(db: Connection) -> None:
    error = await raised(db, "select $1::int")
    assert not is_transient(error)


async def test_a_closed_pool_is_transient(worker_pool: Pool) -> None:
    await worker_pool.close()
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await worker_pool.fetchval("select 1")
    assert is_transient(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailable(), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (asyncpg.TooManyConnectionsError(), True),
        (asyncpg.DeadlockDetectedError(), True),
        (asyncpg.SerializationError(), True),
        (asyncpg.LockNotAvailableError(), True),
        (asyncpg.CannotConnectNowError(), True),
        (asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is"), True),
        (asyncpg.InternalClientError("no such thing"), False),
        (asyncpg.InvalidPasswordError(), False),
        (asyncpg.DataError(), False),
        (ValueError(), False),
        (KeyError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_that_may_pass_are_told_from_those_that_stay(
    error: Exception, *, expected: bool
) -> None:
    assert is_transient(error) is expected


def test_an_error_without_a_message_says_its_docstring() -> None:
    assert str(UnknownProfile()).startswith("A buyer, sender or recipient")
