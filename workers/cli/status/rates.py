"""Which exchange rates are too old to count, for `coinfleet status`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.operating.rates import read_stale_rates
from workers.cli.status.faults import Fault
from workers.cli.words import ago

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connections.pool import Pool
    from db.operating.rates import StaleRate


# fleet.usd_per_minor_unit reads no older one; fleet.stale_rates names them two days sooner.
COUNTS_FOR = timedelta(days=7)
SET = "run `coinfleet rates set CURRENCY USD_PER_UNIT`"


async def find_stale(pool: Pool, *, now: datetime) -> list[Fault]:
    """Return a fault for currencies without a rate that counts, and one for those near that."""
    stale = await read_stale_rates(pool)
    gone = [each for each in stale if _age(each, now=now) > COUNTS_FOR]
    old = [each for each in stale if each not in gone]
    found = []
    if gone:
        what = (
            f"no exchange rate of the last 7 days: {_named(gone, now=now)}; payments are held for"
            " want of one"
        )
        found.append(Fault("rates_gone", what, SET))
    if old:
        what = (
            f"exchange rates older than 5 days: {_named(old, now=now)}; after 7 days payments are"
            " held for want of one"
        )
        found.append(Fault("rates_old", what, SET))
    return found


def _age(rate: StaleRate, *, now: datetime) -> timedelta:
    return timedelta.max if rate.newest_at is None else now - rate.newest_at


def _named(rates: Sequence[StaleRate], *, now: datetime) -> str:
    return ", ".join(_stale(each, now=now) for each in rates)


def _stale(rate: StaleRate, *, now: datetime) -> str:
    if rate.newest_at is None:
        return f"{rate.currency} (none)"
    return f"{rate.currency} (the newest {ago((now - rate.newest_at).total_seconds())})"
