"""Housekeeping: what keeps the inbox and the clocks from growing without need, in bounded bites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import housekeeping, inbox

if TYPE_CHECKING:
    from tasks.context import Context

# Held events that are judged again; more of them have their turn a minute later.
JUDGED_A_RUN = 500
# Events whose wait is over; more than these wait another minute.
WOKEN_A_RUN = 10_000


async def tidy_up(ctx: Context) -> None:
    """Wake events that waited long enough, fold event counts, drop old payloads and history.

    What was held for a buyer, a product or a rate that has come since is judged again.
    """
    woken = await inbox.wake_waiting_events(ctx.pool, limit=WOKEN_A_RUN)
    if woken:
        ctx.log.info("waiting_events_woken", events=woken)
    judged = await inbox.judge_holds_again(ctx.pool, limit=JUDGED_A_RUN)
    if judged:
        ctx.log.info("held_events_judged_again", events=judged)
    folded = housekeeping.TALLIES_PER_CALL
    while folded >= housekeeping.TALLIES_PER_CALL and not ctx.stopping.is_set():
        folded = await housekeeping.fold_event_tallies(ctx.pool)
    dropped = await housekeeping.drop_old_payloads(ctx.pool)
    if dropped:
        ctx.log.info("old_payloads_dropped", events=dropped)
    await housekeeping.trim_history(ctx.pool)
