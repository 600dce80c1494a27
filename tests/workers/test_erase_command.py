"""`coinfleet erase` as an operator types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from db.pool import Connection
    from tests.clusters import Database

COINFLEET = Path(sys.executable).with_name("coinfleet")


def erase(database: Database, profile: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COINFLEET, "erase", str(profile), "--by", "me", "--reason", "asked"],
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


def test_an_unknown_profile_is_one_clear_line(database: Database) -> None:
    nobody = uuid4()
    erased = erase(database, nobody)
    assert erased.returncode == 2
    assert erased.stderr.strip() == f"coinfleet: no profile has the id {nobody}"


def test_an_id_that_is_no_uuid_is_refused(database: Database) -> None:
    erased = erase(database, "somebody")
    assert erased.returncode == 2
    assert "valid UUID" in erased.stderr
