"""Which exchange rates are too old to count, for `coinfleet status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.operating.rates import read_stale_rates
from workers.cli.words import ago

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Pool
    from db.operating.rates import StaleRate


async def find_stale(pool: Pool, *, now: datetime) -> list[str]:
    """Return a line if a currency that was used of late has no rate of the last 7 days."""
    stale = await read_stale_rates(pool)
    if not stale:
        return []
    named = ", ".join(_stale(each, now=now) for each in stale)
    line = (
        f"no exchange rate of the last 7 days: {named}; payments are held for want of one: run"
        " `coinfleet rates set CURRENCY USD_PER_UNIT`"
    )
    return [line]


def _stale(rate: StaleRate, *, now: datetime) -> str:
    if rate.newest_at is None:
        return f"{rate.currency} (none)"
    return f"{rate.currency} (the newest {ago((now - rate.newest_at).total_seconds())})"
