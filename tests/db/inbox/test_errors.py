"""Errors of the database, as Python sees them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.connections.explanations import explained_errors
from db.errors import (
    FATES,
    SQLSTATES,
    DatabaseUnavailable,
    Fate,
    ReadOnlyServer,
    UnknownProfile,
    describe,
    fate,
    is_out_of_sessions,
    is_server_unfit,
    is_transient,
    refusal,
)
from db.release.schema import FOLDER

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect

README = Path(__file__).parents[3] / "README.md"


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


def told(sqlstate: str, message: str = "x", severity: str = "ERROR") -> asyncpg.PostgresError:
    """An error as a server tells it."""
    fields = {"C": sqlstate, "M": message, "S": severity, "V": severity}
    error = asyncpg.PostgresError.new(fields)
    assert isinstance(error, asyncpg.PostgresError)
    return error


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


SUPAVISOR_FULL = (
    "(EMAXCONNSESSION) max clients reached in session mode",
    "(EMAXCLIENTCONN) max client connections reached, limit: 200",
    "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms",
    "MaxClientsInSessionMode: max clients reached",
    "Max client connections reached",
)
SUPAVISOR_BROKEN = (
    "(EDBHANDLEREXITED) connection to database closed",
    "(ECIRCUITBREAKER) too many authentication errors",
    "DbHandler exited",
)


@pytest.mark.parametrize("message", [*SUPAVISOR_FULL, *SUPAVISOR_BROKEN])
def test_whatever_supavisor_says_is_transient(message: str) -> None:
    error = told("XX000", message, "FATAL")
    assert fate(error, is_alone=True) is Fate.TRANSIENT
    assert is_out_of_sessions(error) is (message in SUPAVISOR_FULL)
    assert is_server_unfit(error) is (message in SUPAVISOR_BROKEN)


def test_supavisors_unknown_tenant_is_a_wrong_address() -> None:
    assert not is_transient(told("XX000", "Tenant or user not found", "FATAL"))


@pytest.mark.parametrize(
    "message",
    ["query_wait_timeout", "no more connections allowed (max_client_conn)"],
)
def test_pgbouncer_without_a_connection_to_give_is_transient(message: str) -> None:
    error = told("08P01", message, "FATAL")
    assert is_transient(error)
    assert is_out_of_sessions(error)
    assert not is_server_unfit(error)


@pytest.mark.parametrize(
    "error",
    [
        told("25006", "cannot execute UPDATE in a read-only transaction"),
        told("57P01", severity="FATAL"),
        told("57P03", severity="FATAL"),
        told("3D000", severity="FATAL"),
        told("28000", severity="FATAL"),
        told("28P01", severity="FATAL"),
        told("08006"),
        told("08P01", "server conn crashed?", "FATAL"),
        ReadOnlyServer(),
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.InterfaceError("connection is closed"),
    ],
    ids=str,
)
def test_what_says_that_a_server_serves_nobody_is_known(error: Exception) -> None:
    assert is_server_unfit(error)


@pytest.mark.parametrize(
    "sqlstate", ["23505", "40P01", "53100", "53300", "55P03", "57014", "42883"]
)
def test_what_says_nothing_against_the_server_expires_no_connection(sqlstate: str) -> None:
    assert not is_server_unfit(told(sqlstate))


def test_sql_and_python_agree_on_what_is_transient() -> None:
    text = (FOLDER / "functions" / "inbox" / "fleet.apply_or_bisect.sql").read_text()
    conditions = {each.removesuffix("000") for each in re.findall(r"sqlstate '(\w{5})'", text)}
    assert conditions == {key for key, value in FATES.items() if value is Fate.TRANSIENT}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (told("22P02", 'invalid input syntax for type inet: "300.1.1.1"'), "22P02: …inet: "),
        (
            told("23505", 'duplicate key value violates unique constraint "one_row_an_event"'),
            "23505: …one_row_an_event",
        ),
        (told("22003", 'value "99999999999" is out of range for type integer'), "22003: value "),
        (told("P0001", "no such person: ada@example.org"), "P0001: no such person: "),
        (TimeoutError(), "no answer in time"),
        (TimeoutError("no answer within 2 s"), "no answer within 2 s"),
        (
            asyncpg.InterfaceError(
                "cannot call Transaction.__aexit__(): the underlying connection is closed"
            ),
            "the connection was lost",
        ),
        (
            asyncpg.InternalClientError(
                "cannot switch to state 12; another operation (2) is in progress"
            ),
            "the connection was lost",
        ),
    ],
)
def test_an_error_is_described_without_the_values_in_it(error: Exception, expected: str) -> None:
    described = describe(error)
    for part in expected.split("…"):
        assert part in described
    assert not re.search("300.1.1.1|99999999999|ada@", described)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            told("57P01", "terminating connection due to administrator command"),
            "57P01: terminating connection due to administrator command",
        ),
        (told("55P03", "canceling statement due to lock timeout"), "lock timeout"),
        (TimeoutError(), "no answer in time"),
    ],
)
def test_a_command_says_what_the_database_refuses_work_for(error: Exception, cause: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=cause), explained_errors():
        raise error


def test_an_error_without_a_message_says_its_docstring() -> None:
    assert str(UnknownProfile()).startswith("A buyer, sender or recipient")
