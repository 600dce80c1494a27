"""`coinfleet erase` as an operator types it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from rich.console import Console

from db.erasure import Erasure
from workers.cli.erase import _show, account

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

pytestmark = pytest.mark.requirement("I3")

COINFLEET = Path(sys.executable).with_name("coinfleet")


def erase(
    database: Database, profile: object, *words: str, stdin: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COINFLEET, "erase", str(profile), "--by", "me", "--reason", "asked", *words],
        stdin=stdin,
        env={"DATABASE_URL": database.url(), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_it_prints_what_it_cleared(database: Database, db: Connection) -> None:
    profile = uuid4()
    await db.execute("insert into auth.users (id, email) values ($1, 'a@example.org')", profile)
    erased = erase(database, profile)
    assert erased.returncode == 0, erased.stderr
    assert "sign ins 1" in " ".join(erased.stdout.split())
    assert await db.fetchval("select requested_by || reason from fleet.erasures") == "measked"


def test_what_is_still_to_be_told_of_the_person_is_said() -> None:
    erasure = Erasure(
        cleared={"profiles": 1},
        open_events=2,
        open_calls=1,
        open_messages=1_200,
        is_supabase=False,
    )
    console = Console(file=StringIO(), width=60)
    _show(console, erasure, uuid4(), dry_run=False)
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.partition(" about ")[0] for line in said[-3:]] == [
        "still open: 2 events",
        "still to be sent: 1,200 messages to the app",
        "still to be made: 1 call to providers",
    ]
    assert all("erase again when none" in line for line in said[-3:])


def test_an_unknown_profile_is_one_clear_line(database: Database) -> None:
    nobody = uuid4()
    erased = erase(database, nobody)
    assert erased.returncode == 2
    assert erased.stderr.strip() == f"coinfleet: no profile has the id {nobody}"


def test_an_id_that_is_no_uuid_is_refused(database: Database) -> None:
    erased = erase(database, "somebody")
    assert erased.returncode == 2
    assert "valid UUID" in erased.stderr


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert account() == f"uid {os.getuid()}"


@pytest.mark.long
async def test_a_dry_run_shows_the_same_and_changes_nothing(
    database: Database, db: Connection
) -> None:
    profile = uuid4()
    await db.execute("insert into auth.users (id, email) values ($1, 'a@example.org')", profile)
    tried = erase(database, profile, "--dry-run")
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "sign ins 1" in " ".join(tried.stdout.split())
    assert tried.stdout.endswith("Nothing was changed.\n")
    assert await db.fetchval("select email from auth.users where id = $1", profile)
    assert await db.fetchval("select count(*) from fleet.erasures") == 0
    assert erase(database, profile).returncode == 0
    assert not await db.fetchval("select email from auth.users where id = $1", profile)


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("answer", "words", "erased"),
    [("yes\n", (), 1), ("y\n", (), 0), ("\x04", (), 0), ("", ("--yes",), 1)],
)
async def test_on_a_terminal_it_asks_unless_yes_was_given(
    database: Database, db: Connection, answer: str, words: tuple[str, ...], erased: int
) -> None:
    profile = uuid4()
    await db.execute("insert into auth.users (id) values ($1)", profile)
    terminal, far_end = pty.openpty()
    try:
        os.write(terminal, answer.encode())
        ended = erase(database, profile, *words, stdin=far_end)
    finally:
        os.close(terminal)
        os.close(far_end)
    assert await db.fetchval("select count(*) from fleet.erasures") == erased
    assert ended.returncode == (0 if erased else 1)
    assert ("Type yes" in ended.stderr) is (not words)
    assert ("nothing was erased" in ended.stderr) is (not erased)


@pytest.mark.long_but_first
@pytest.mark.parametrize("reason", ["", "  "])
async def test_an_erasure_needs_a_reason(database: Database, db: Connection, reason: str) -> None:
    profile = uuid4()
    await db.execute("insert into auth.users (id) values ($1)", profile)
    ended = erase(database, profile, "--yes", "--reason", reason)
    assert ended.returncode == 2
    assert "Invalid value for '--reason': must say why" in ended.stderr
    assert await db.fetchval("select count(*) from fleet.erasures") == 0
