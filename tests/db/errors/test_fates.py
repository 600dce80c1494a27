"""The fate of each error: whether it may pass, and whether it is an event's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.errors import (
    FATES,
    DatabaseUnavailable,
    Fate,
    fate,
    is_transient,
)
from db.release.schema import FOLDER
from tests.db.errors.made_errors import raised, told

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect


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
        (DatabaseUnavailable(), True),
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


# CONTRACT, "Transient failures".
TRANSIENT = re.findall(
    r"\w+",
    "08000 08001 08003 08004 08006 08P01 25006 25P03 26000 40001 40P01 40003 42P05 "
    "53000 53100 53200 53300 53400 55006 55P03 57014 57P01 57P02 57P03 57P04 57P05 "
    "58000 58030 58P01 72000 ",
)
EVENT = re.findall(
    r"\w+",
    "22001 22003 22007 22P02 22P05 23502 23503 23505 23514 40002 54001 CF001 P0001 ",
)
BUG = re.findall(
    r"\w+",
    "0A000 21000 25P02 2F003 3F000 42501 42601 42703 42804 42883 42P01 XX000 XX001 ",
)


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        *((each, Fate.TRANSIENT) for each in TRANSIENT),
        *((each, Fate.EVENT) for each in EVENT),
        *((each, Fate.BUG) for each in BUG),
    ],
)
def test_each_sqlstate_has_its_fate(sqlstate: str, expected: Fate) -> None:
    assert fate(told(sqlstate)) is expected


@pytest.mark.parametrize("sqlstate", TRANSIENT)
def test_nothing_transient_is_a_lone_events_own_but_our_statement_timeout(sqlstate: str) -> None:
    message = "canceling statement due to statement timeout"
    expected = Fate.EVENT if sqlstate == "57014" else Fate.TRANSIENT
    assert fate(told(sqlstate, message), is_alone=True) is expected


def test_what_an_operator_cancels_is_no_events_own() -> None:
    error = told("57014", "canceling statement due to user request")
    assert fate(error, is_alone=True) is Fate.TRANSIENT


def test_sql_and_python_agree_on_what_is_transient() -> None:
    text = (FOLDER / "functions" / "inbox" / "fleet.apply_or_bisect.sql").read_text()
    conditions = {each.removesuffix("000") for each in re.findall(r"sqlstate '(\w{5})'", text)}
    assert conditions == {key for key, value in FATES.items() if value is Fate.TRANSIENT}
