"""Purchases of which a store was not told in time, for `coinfleet status` and the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Pool


@dataclass(frozen=True, slots=True)
class LateConfirmations:
    """Purchases of one store that lack `acknowledgement` or `consumption`, and for how long."""

    provider: str
    lacks: str
    purchases: int
    oldest_s: float


async def read_late_confirmations(pool: Pool) -> list[LateConfirmations]:
    """Return what is late, by store and by what it lacks."""
    rows = await pool.fetch(
        "select provider, lacks, purchases, oldest_s from fleet.late_confirmations()"
    )
    return [LateConfirmations(*row) for row in rows]
