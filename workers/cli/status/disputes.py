"""What `coinfleet status` says of disputes: which have to be answered soon."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.health.disputes import read_due_disputes
from workers.cli.status.faults import Fault
from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Pool

# Somebody has to collect evidence before that.
SOON = timedelta(days=3)


async def find_due(pool: Pool, *, now: datetime) -> list[Fault]:
    """Return a fault per provider that takes evidence for a dispute for less than SOON."""
    return [
        Fault(
            "dispute_due",
            f"{each.provider} takes evidence for {counted(each.disputes, 'dispute')} for less than"
            f" {SOON.days} days: for the first ({each.dispute_id})"
            f" for {duration((each.due_at - now).total_seconds())}",
        )
        for each in await read_due_disputes(pool, now=now, within=SOON)
    ]
