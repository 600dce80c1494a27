"""What `coinfleet status` says of disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workers.cli.status.questions import health_of

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

pytestmark = pytest.mark.usefixtures("at_work")


async def test_a_dispute_is_told_once_little_time_is_left_for_its_evidence(
    db: Connection, database: Database
) -> None:
    dispute = (
        "insert into fleet.disputes"
        " (provider, dispute_id, payment_id, amount_minor, told_at, status, currency, due_at)"
        " values ('stripe', $1, 1, 100, now(), $2, 'usd', now() + $3::text::interval)"
    )
    for name, status, due_in in (
        ("dp_later", "needs_response", "73 hours"),
        ("dp_over", "needs_response", "-1 hour"),
        ("dp_sent", "under_review", "5 hours"),
        ("dp_won", "won", "5 hours"),
        ("dp_untold", "needs_response", None),
    ):
        await db.execute(dispute, name, status, due_in)
    assert "evidence" not in str(await health_of(database))
    await db.execute(dispute, "dp_second", "warning_needs_response", "60 hours")
    await db.execute(dispute, "dp_first", "needs_response", "5 hours 10 minutes")
    said = (
        "stripe takes evidence for 2 disputes for less than 3 days: for the first (dp_first) for"
        " 5 h"
    )
    assert said in str(await health_of(database))
