"""Housekeeping: what keeps the inbox and the clocks from growing without need, in bounded bites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import housekeeping, inbox

if TYPE_CHECKING:
    from tasks.context import Context

# Events whose wait is over; more than these wait another minute.
WOKEN_A_RUN = 10_000


async def tidy_up(ctx: Context) -> None:
    """Wake events that waited long enough, fold event counts, drop old payloads and history."""
    woken = await inbox.wake_waiting_events(ctx.pool, limit=WOKEN_A_RUN)
    if woken:
        ctx.log.info("waiting_events_woken", events=woken)
    folded = housekeeping.TALLIES_A_CALL
    while folded >= housekeeping.TALLIES_A_CALL and not ctx.stopping.is_set():
        folded = await housekeeping.fold_event_tallies(ctx.pool)
    dropped = await housekeeping.drop_old_payloads(ctx.pool)
    if dropped:
        ctx.log.info("old_payloads_dropped", events=dropped)
    await housekeeping.trim_history(ctx.pool)
