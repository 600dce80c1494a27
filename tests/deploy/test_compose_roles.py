"""What compose's PostgreSQL runs at its first start: a release then has all that it needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from db.connections.pool import open_connection
from db.release.runner import migrate
from workers.embedded import EmbeddedPostgres
from workers.embedded.binaries import postgres_bin
from workers.processes import PROCESSES

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parents[2] / "deploy" / "compose" / "owner_and_roles.sh"
# A quotation mark must do no harm.
PASSWORDS = {
    f"{process.login.upper()}_PASSWORD": f"it's-{process.login}" for process in PROCESSES.values()
}


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[str]:
    """The superuser's address of a server on which nobody has made anything."""
    server = EmbeddedPostgres(tmp_path)
    server.start()
    yield server.superuser_url
    server.stop()


async def clear(url: str) -> None:
    """Remove what the embedded server makes for its own fleet."""
    connection = await open_connection(url, application_name="test")
    await connection.execute("drop database coinfleet")
    for (role,) in await connection.fetch(
        "select rolname from pg_roles where rolname like 'coinfleet%' and rolname <> current_user"
    ):
        await connection.execute(f"drop owned by {role}; drop role {role}")
    await connection.close()


@pytest.mark.long
async def test_the_release_and_the_processes_can_log_in_after_it(empty_server: str) -> None:
    parts = urlsplit(empty_server)
    await clear(empty_server.replace(parts.path, "/postgres"))
    environment = PASSWORDS | {
        "PATH": f"{postgres_bin()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(parts.port),
        "PGPASSWORD": parts.password or "",
        "POSTGRES_USER": parts.username or "",
    }
    run = subprocess.run(  # noqa: ASYNC221
        [SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")

    def address(login: str) -> str:
        return f"postgresql://coinfleet_{login}:it's-{login}@127.0.0.1:{parts.port}/coinfleet"

    await migrate(address("owner"))
    for process in PROCESSES.values():
        connection = await open_connection(address(process.login), application_name="test")
        assert await connection.fetchval("select current_user") == process.role
        await connection.close()
