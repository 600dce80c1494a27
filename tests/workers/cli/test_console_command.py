"""`coinfleet console`: the links again, who is signed in, and ending that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.console.sessions import Claimant, open_session
from tests.workers.cli.operators import coinfleet
from workers.embedded import DataFolder, RunningFleet
from workers.sign_in_links import Role, make_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database

URL = "http://127.0.0.1:9001"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    """The data folder of a running fleet."""
    folder = DataFolder(tmp_path / "data")
    folder.lock()
    folder.renew_link_secret()
    folder.write_fleet(
        RunningFleet(pid=1, port=9000, postgres_port=5433, valkey_port=6380, console_url=URL)
    )
    yield folder
    folder.unlock()


def test_the_links_are_those_of_the_start(folder: DataFolder) -> None:
    links = make_links(URL, folder.link_secret())
    done = coinfleet("console", "links", COINFLEET_DATA_DIR=str(folder.path))
    assert done.stdout.splitlines() == [f"{role}: {links[role]}" for role in Role]
    assert done.returncode == 0


def test_each_start_has_other_links(folder: DataFolder) -> None:
    before = folder.link_secret()
    assert folder.renew_link_secret() == folder.link_secret() != before
    assert (folder.path / "passwords/console-links").stat().st_mode & 0o777 == 0o600


def test_a_fleet_elsewhere_has_no_links(tmp_path: Path) -> None:
    elsewhere = {"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/nowhere"}
    done = coinfleet("console", "links", COINFLEET_DATA_DIR=str(tmp_path), **elsewhere)
    assert done.returncode == 2
    assert "has no links" in done.stderr
    assert "set DATABASE_URL" not in done.stderr


@pytest.mark.long
def test_without_a_fleet_there_are_no_links(tmp_path: Path) -> None:
    done = coinfleet("console", "links", COINFLEET_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "no fleet runs" in done.stderr


@pytest.mark.long
async def test_sessions_are_listed_and_ended_by_name(database: Database, db: Connection) -> None:
    ann = Claimant(
        subject="x 1", name="ann@example.com", role="viewer", aal="aal2", reads_payloads=False
    )
    await open_session(db, bytes(32), ann, lasts_s=60)
    settings = {"DATABASE_URL": database.url()}
    listed = coinfleet("console", "sessions", **settings)
    assert "ann@example.com" in listed.stdout
    ended = coinfleet("console", "revoke", "Ann@example.com", **settings)
    assert "1 session of Ann@example.com ended" in ended.stdout
    again = coinfleet("console", "revoke", "ann@example.com", **settings)
    assert (again.returncode, "no session" in again.stderr) == (2, True)
    assert await db.fetchval("select revoked_by from fleet.console_sessions")
