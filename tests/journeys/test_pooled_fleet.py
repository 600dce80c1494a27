"""The whole fleet behind a transaction pooler, as on Supabase's port 6543."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.journeys.fleet_run import ROOT, FleetRun
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from workers.embedded import EmbeddedPostgres, EmbeddedValkey
from workers.processes import PROCESSES
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.requirement("H2")

# Per role: fewer than the pool of a worker opens at most.
SESSIONS = 12


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Servers of this test, and settings by which each process connects through PgBouncer."""
    postgres, valkey = EmbeddedPostgres(tmp_path), EmbeddedValkey(tmp_path)
    postgres.start()
    valkey.start()
    urls = {
        process.address: postgres.role_url(process.login)
        for process in PROCESSES.values()
        if process.is_long_lived
    }
    pooler = PgBouncer(tmp_path, urls.values(), sessions=SESSIONS)
    pooler.start()
    yield {
        "DATABASE_URL": postgres.owner_url(),
        "REDIS_URL": valkey.url,
        **{address: pooler.url(url) for address, url in urls.items()},
        **DEVELOPMENT_SECRETS,
    }
    pooler.stop()
    valkey.stop()
    postgres.stop()


@pytest.mark.long
@needs_pgbouncer
def test_a_fleet_behind_a_transaction_pooler_applies_every_event_once(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with FleetRun(tmp_path / "data", environment=environment) as run:
        run.wait_until_ready()
        simulated = subprocess.run(
            [
                *(ROOT / ".venv/bin/coinfleet", "simulate", "--events", "300", "--duplicates", "2"),
                *("--shuffle", "--yes-make-test-users"),
            ],
            env=environment | {"PORT": str(run.port), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert simulated.returncode == 0, simulated.stdout + simulated.stderr + run.output
        run.stop()
