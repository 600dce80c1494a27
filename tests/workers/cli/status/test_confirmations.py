"""What `coinfleet status`, and the log, say of purchases of which a store was not told in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.housekeeping import tidy_up
from tests.tasks.contexts import make_context
from tests.workers.cli.status.questions import health_of

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database

pytestmark = pytest.mark.usefixtures("at_work")


async def test_a_purchase_that_is_not_consumed_is_told(
    db: Connection, database: Database, worker_pool: Pool, capfd: pytest.CaptureFixture[str]
) -> None:
    await db.execute(
        "insert into fleet.provider_calls (kind, key, request, created_at)"
        " values ('google.consume', 'coinfleet:consume:a', '{\"token\": \"secret-token\"}',"
        " now() - interval '12 minutes 5 seconds')"
    )
    found = str(await health_of(database))
    assert "no consumption at google: 1 purchase, the oldest for 12 min" in found
    context = make_context(worker_pool)
    await tidy_up(context)
    await tidy_up(context)
    logged = capfd.readouterr().out
    assert logged.count("purchases_lack_confirmation") == 1
    assert "secret-token" not in logged
