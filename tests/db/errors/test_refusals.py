"""Refusals of the business: each SQLSTATE of class CF has its class and its row in the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from db.errors import (
    SQLSTATES,
    UnknownProfile,
    is_transient,
    refusal,
)
from db.release.schema import FOLDER
from tests.db.errors.made_errors import raised

if TYPE_CHECKING:
    from db.connections.pool import Connection

README = Path(__file__).parents[3] / "README.md"


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


def test_an_error_without_a_message_says_its_docstring() -> None:
    assert str(UnknownProfile()).startswith("A buyer, sender or recipient")
