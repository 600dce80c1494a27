"""Exchange rates: what a unit of a currency is worth in US dollars, by which dollar rules judge.

A stored rate never changes; a newer one counts in its place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from db.errors import CoinfleetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Rate:
    """A unit of `currency` is worth so many US dollars; without a time it is of now."""

    currency: str
    usd_per_unit: Decimal
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewestRate:
    """The newest rate of a currency; `counts` if the currency has a rate of the last 7 days."""

    currency: str
    usd_per_unit: Decimal
    as_of: datetime
    counts: bool


@dataclass(frozen=True, slots=True)
class StaleRate:
    """A used currency whose newest rate is older than 5 days; None if it has none."""

    currency: str
    newest_at: datetime | None
    used_at: datetime


@dataclass(frozen=True, slots=True)
class RateHold:
    """A purchase that is held for want of a rate; with `has_rate` it is judged again."""

    purchase_id: int
    event_id: int
    currency: str
    amount_minor: int
    has_rate: bool


@dataclass(frozen=True, slots=True)
class RatesSet:
    """How many rates are new, and what was held for want of a rate in these currencies."""

    stored: int
    holds: Sequence[RateHold]


class RatesRefused(CoinfleetError):
    """Nothing was stored; `faults` says why, by the number of the rate, from 1."""

    def __init__(self, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__()
        self.faults = faults


async def find_faults(
    database: Pool | Connection, rates: Sequence[Rate], *, allow_unusual: bool
) -> list[tuple[int, str]]:
    """Return what is wrong with each rate, by its number, from 1."""
    now = await database.fetchval("select clock_timestamp()")
    rows = await database.fetch(
        "select row_no, fault from fleet.rate_faults($1, $2, $3, $4, $5)",
        *_columns(rates),
        allow_unusual,
        now,
    )
    return [(row["row_no"], row["fault"]) for row in rows]


async def set_rates(
    connection: Connection,
    rates: Sequence[Rate],
    *,
    allow_unusual: bool,
    action: str,
    typed_by: str,
    reason: str,
) -> RatesSet:
    """Store these rates, all or none, with a note of who did it and why. Raises RatesRefused."""
    async with connection.transaction():
        # No other command stores a rate between the check and the insert; payments go on.
        await connection.execute("lock table public.fx_rates in share row exclusive mode")
        now = await connection.fetchval("select clock_timestamp()")
        columns = _columns(rates)
        faults = await connection.fetch(
            "select row_no, fault from fleet.rate_faults($1, $2, $3, $4, $5)",
            *columns,
            allow_unusual,
            now,
        )
        if faults:
            raise RatesRefused([(row["row_no"], row["fault"]) for row in faults])
        stored = await connection.fetchval(
            "select fleet.set_rates($1, $2, $3, $4, $5)", *columns, allow_unusual, now
        )
        noted = [
            [each.currency, str(each.usd_per_unit), (each.as_of or now).isoformat()]
            for each in rates
        ]
        await connection.execute(
            "select fleet.record_action($1, $2, $3, $4::jsonb)",
            action,
            typed_by,
            reason,
            json.dumps({"rates": noted}),
        )
        holds = await connection.fetch("select * from fleet.holds_without_rate($1)", columns[0])
    return RatesSet(stored, [RateHold(*row) for row in holds])


def _columns(
    rates: Sequence[Rate],
) -> tuple[list[str], list[Decimal], list[datetime | None]]:
    return (
        [each.currency for each in rates],
        [each.usd_per_unit for each in rates],
        [each.as_of for each in rates],
    )


async def read_newest_rates(database: Pool | Connection) -> list[NewestRate]:
    """Return the newest rate of each currency, by currency."""
    rows = await database.fetch("select * from fleet.newest_rates()")
    return [NewestRate(*row) for row in rows]


async def read_stale_rates(database: Pool | Connection) -> list[StaleRate]:
    """Return the currencies of recent payments and disputes that have no rate of 5 days."""
    rows = await database.fetch("select * from fleet.stale_rates()")
    return [StaleRate(*row) for row in rows]
