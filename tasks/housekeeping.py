"""Housekeeping: what keeps the inbox and the clocks from growing without need, in bounded bites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import expiry, housekeeping, inbox
from db.errors import Refused

if TYPE_CHECKING:
    from tasks.context import Context

# Held events that are judged again; more of them have their turn a minute later.
JUDGED_A_RUN = 500
# Events whose wait is over; more than these wait another minute.
WOKEN_A_RUN = 10_000
# Held purchases whose time is over: each is a transaction of its own.
EXPIRED_A_RUN = 100
REMINDED_A_RUN = 100


async def tidy_up(ctx: Context) -> None:
    """Wake events that waited long enough, fold event counts, drop old payloads and history.

    What was held for a buyer, a product or a rate that has come since is judged again; what is held
    for longer than HOLD_EXPIRES_DAYS is rejected.
    """
    woken = await inbox.wake_waiting_events(ctx.pool, limit=WOKEN_A_RUN)
    if woken:
        ctx.log.info("waiting_events_woken", events=woken)
    judged = await inbox.judge_holds_again(ctx.pool, limit=JUDGED_A_RUN)
    if judged:
        ctx.log.info("held_events_judged_again", events=judged)
    await _expire_holds(ctx)
    folded = housekeeping.TALLIES_A_CALL
    while folded >= housekeeping.TALLIES_A_CALL and not ctx.stopping.is_set():
        folded = await housekeeping.fold_event_tallies(ctx.pool)
    dropped = await housekeeping.drop_old_payloads(ctx.pool)
    if dropped:
        ctx.log.info("old_payloads_dropped", events=dropped)
    await housekeeping.trim_history(ctx.pool)


async def _expire_holds(ctx: Context) -> None:
    """Say which holds are half over, and reject those that are over, one by one."""
    for reminder in await expiry.remind_of_holds(ctx.pool, limit=REMINDED_A_RUN):
        ctx.log.error(
            "hold_expires",
            event_id=reminder.event_id,
            purchase_id=reminder.purchase_id,
            reason=reminder.reason,
            expires_at=reminder.expires_at.isoformat(),
        )
    for _ in range(EXPIRED_A_RUN):
        if ctx.stopping.is_set():
            return
        try:
            expired = await expiry.expire_hold(ctx.pool)
        except Refused:
            # A person decided it at this moment.
            continue
        if expired is None:
            return
        ctx.log.warning("hold_expired", purchase_id=expired.purchase_id, event_id=expired.event_id)
