"""What is tidied away: folded tallies, old payloads and history that nobody asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

# Payloads of about 2 KB: one call rewrites a few MB at most.
PAYLOADS_A_CALL = 1_000
# The bound inside fleet.fold_event_tallies: a call that folds this many has more to do.
TALLIES_A_CALL = 50_000


async def fold_event_tallies(database: Pool | Connection) -> int:
    """Fold up to TALLIES_A_CALL changes of event counts into sums; gives how many there were."""
    folded: int = await database.fetchval("select fleet.fold_event_tallies()")
    return folded


async def drop_old_payloads(database: Pool | Connection, *, limit: int = PAYLOADS_A_CALL) -> int:
    """Drop payloads of finished events after 90 days, never a key or a hash; gives how many."""
    dropped: int = await database.fetchval("select fleet.drop_old_payloads(p_limit => $1)", limit)
    return dropped


async def trim_history(database: Pool | Connection) -> int:
    """Remove old ticks, clean continuous proofs and reports of workers that are gone."""
    removed: int = await database.fetchval("select fleet.trim_history()")
    return removed
