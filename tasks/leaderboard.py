"""The leaderboard: what gifts add to the boards, and when they cease to be recent on a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import leaderboard

if TYPE_CHECKING:
    from tasks.context import Context


async def refresh_leaderboard(ctx: Context) -> None:
    """Count new gifts into the boards, and let gifts older than an hour go from recent coins."""
    is_done = False
    while not is_done and not ctx.stopping.is_set():
        is_done = await leaderboard.age_recent_gifts(ctx.pool)
    is_caught_up = False
    while not is_caught_up and not ctx.stopping.is_set():
        is_caught_up = await leaderboard.refresh_leaderboard(ctx.pool)
