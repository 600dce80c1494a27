"""Disputes whose deadline is near, for `coinfleet status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Pool

# The list of open disputes is read up to here.
COUNTED_MAX = 1_000
DUE = f"""
    select n.provider, count(*), min(n.due_at), (array_agg(n.dispute_id order by n.due_at))[1]
    from (
        select d.provider, d.due_at, d.dispute_id, d.status
        from fleet.disputes as d
        where coalesce(d.status, '') not in ('won', 'lost', 'prevented', 'warning_closed')
            and coalesce(d.due_at, 'infinity') > $1 and coalesce(d.due_at, 'infinity') < $2
        order by coalesce(d.due_at, 'infinity'), d.provider, d.dispute_id
        limit {COUNTED_MAX}
    ) as n
    where n.status in ('needs_response', 'warning_needs_response')
    group by n.provider
    order by n.provider
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class DueDisputes:
    """Disputes of one provider that wait for evidence, and the one that ends first."""

    provider: str
    disputes: int
    due_at: datetime
    dispute_id: str


async def read_due_disputes(pool: Pool, *, now: datetime, within: timedelta) -> list[DueDisputes]:
    """Return what has to be answered within this time, by provider."""
    rows = await pool.fetch(DUE, now, now + within)
    return [DueDisputes(*row) for row in rows]
