"""The leaderboard: adds new gifts to the boards, and takes old gifts from the recent coins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import leaderboard

if TYPE_CHECKING:
    from tasks.context import Context


async def refresh_leaderboard(ctx: Context) -> None:
    """Add new gifts to the boards, and subtract gifts older than an hour from recent coins.

    Works in batches until both have caught up or the process stops.
    """
    is_done = False
    while not is_done and not ctx.stopping.is_set():
        is_done = await leaderboard.age_recent_gifts(ctx.pool)
    is_caught_up = False
    while not is_caught_up and not ctx.stopping.is_set():
        is_caught_up = await leaderboard.refresh_leaderboard(ctx.pool)
