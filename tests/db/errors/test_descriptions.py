"""An error in a line: for the log without values, for a person with its cause."""

from __future__ import annotations

import re

import asyncpg
import pytest

from db.connections.explanations import explained_errors
from db.errors import (
    DatabaseUnavailable,
    ReadOnlyServer,
    UnknownProfile,
    describe,
    is_server_unfit,
    raising_unavailable,
    unavailable,
)
from tests.db.errors.made_errors import told


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


def test_an_error_that_passes_becomes_unavailable_and_keeps_its_cause() -> None:
    lost = ConnectionResetError("reset by peer")
    with (
        pytest.raises(DatabaseUnavailable, match="The database at db:5432 could not") as caught,
        raising_unavailable(place="db:5432"),
    ):
        raise lost
    assert caught.value.__cause__ is lost
    assert is_server_unfit(caught.value)


@pytest.mark.parametrize("error", [ReadOnlyServer(), ValueError("a bug"), UnknownProfile()])
def test_an_error_that_is_unavailable_already_or_stays_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, raising_unavailable():
        raise error
    assert caught.value is error


def test_the_log_gets_the_cause_alone_and_a_person_a_sentence() -> None:
    error = unavailable(told("53300", "sorry, too many clients already"))
    assert describe(error) == "53300: sorry, too many clients already"
    assert str(error) == (
        "The database could not do this just now (53300: sorry, too many clients already);"
        " try it again later"
    )
