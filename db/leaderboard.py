"""Sums of gifts: the leaderboards of givers and receivers, and the recent coins of streams.

Each call does a bounded slice in SQL. When to call again is the caller's decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool

# One slice of new entries takes about a second.
SLICE_ENTRIES = 100_000
# Without a checkpoint all gifts are counted: some seconds per million.
REFRESH_TIMEOUT_S = 600


async def refresh_leaderboard(pool: Pool, *, limit: int = SLICE_ENTRIES) -> bool:
    """Count the gifts among about `limit` new ledger entries and write the changed board rows.

    Return whether nothing is left to count. Calls run one at a time.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"set local statement_timeout = '{REFRESH_TIMEOUT_S}s'")
        is_caught_up: bool = await connection.fetchval(
            "select fleet.refresh_leaderboard(p_limit => $1)",
            limit,
            timeout=REFRESH_TIMEOUT_S + 5,
        )
    return is_caught_up


async def age_recent_gifts(database: Pool | Connection) -> bool:
    """Subtract up to an hour's worth of older gifts from the streams' recent coins.

    Return whether none is left that is an hour old.
    """
    is_done: bool = await database.fetchval("select fleet.age_recent_gifts()")
    return is_done
