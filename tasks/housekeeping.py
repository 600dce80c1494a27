"""Housekeeping: due events are judged again, and old data go, a bounded number per run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import housekeeping, inbox

if TYPE_CHECKING:
    from tasks.context import Context

# Any more held events are judged again by the next run, a minute later.
JUDGED_PER_RUN_MAX = 500
# Any more events whose wait is over are woken by the next run.
WOKEN_PER_RUN_MAX = 10_000


async def tidy_up(ctx: Context) -> None:
    """Wake events that have waited long enough, and judge held events again.

    An event that is held for a buyer, a product or a rate is judged again once that is there. Also
    adds up the event counts, and deletes old payloads and old history.
    """
    woken = await inbox.wake_waiting_events(ctx.pool, limit=WOKEN_PER_RUN_MAX)
    if woken:
        ctx.log.info("waiting_events_woken", events=woken)
    judged = await inbox.judge_holds_again(ctx.pool, limit=JUDGED_PER_RUN_MAX)
    if judged:
        ctx.log.info("held_events_judged_again", events=judged)
    folded = housekeeping.TALLIES_PER_CALL
    while folded >= housekeeping.TALLIES_PER_CALL and not ctx.stopping.is_set():
        folded = await housekeeping.fold_event_tallies(ctx.pool)
    dropped = await housekeeping.drop_old_payloads(ctx.pool)
    if dropped:
        ctx.log.info("old_payloads_dropped", events=dropped)
    await housekeeping.trim_history(ctx.pool)
