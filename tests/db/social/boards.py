"""How tests refresh and read leaderboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.db.books import Books

if TYPE_CHECKING:
    from uuid import UUID


PERIODS = ("day", "week", "month", "all_time")
GIFTERS, STREAMERS = "top_gifters", "top_streamers"


async def refresh(books: Books, limit: int = 100_000) -> bool:
    """Refresh at the books' time; return whether nothing is left to count."""
    caught_up: bool = await books.db.fetchval(
        "select fleet.refresh_leaderboard($1, $2)", books.now, limit
    )
    return caught_up


async def board(books: Books, name: str, period: str = "all_time") -> list[tuple[UUID, int]]:
    """Return a board's profiles and coins, by rank."""
    rows = await books.db.fetch(
        "select profile_id, coins, rank from public.leaderboard_cache"
        " where board = $1 and period = $2 order by rank",
        name,
        period,
    )
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    return [(row["profile_id"], row["coins"]) for row in rows]
