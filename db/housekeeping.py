"""Housekeeping: event counts are summed up, old payloads and old history are removed.

Nothing here touches money, keys or hashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

# A payload has about 2 KB, so one call rewrites a few MB at most.
PAYLOADS_PER_CALL = 1_000
# Each is a row of half a KB.
DELIVERIES_PER_CALL = 10_000
# Each may be leased to a worker, who waits for nobody else.
CALLS_PER_CALL = 10_000
# The bound inside fleet.fold_event_tallies. If a call sums up this many, there are more.
TALLIES_PER_CALL = 50_000


async def fold_event_tallies(database: Pool | Connection) -> int:
    """Sum up to TALLIES_PER_CALL changes of event counts; return how many there were."""
    folded: int = await database.fetchval("select fleet.fold_event_tallies()")
    return folded


async def drop_old_payloads(database: Pool | Connection, *, limit: int = PAYLOADS_PER_CALL) -> int:
    """Remove payloads of finished events after 90 days; return how many. Keys and hashes stay."""
    dropped: int = await database.fetchval("select fleet.drop_old_payloads(p_limit => $1)", limit)
    return dropped


async def date_calls_anew(database: Pool | Connection, *, limit: int = CALLS_PER_CALL) -> int:
    """Count pauses from now that a clock which was ahead began; return how many calls had one."""
    dated: int = await database.fetchval("select fleet.date_calls_anew($1)", limit)
    return dated


async def trim_history(database: Pool | Connection) -> int:
    """Remove old ticks, proofs without violations and reports of workers that have gone.

    Return how many rows were removed.
    """
    removed: int = await database.fetchval("select fleet.trim_history()")
    return removed


async def drop_old_deliveries(
    database: Pool | Connection, *, limit: int = DELIVERIES_PER_CALL
) -> int:
    """Remove messages that the app took more than 7 days ago; return how many."""
    dropped: int = await database.fetchval("select fleet.drop_old_deliveries($1)", limit)
    return dropped
