"""Housekeeping: due events are judged again, and old data go, a bounded number per run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db import housekeeping
from db.approvals import expiry, freezes
from db.approvals.inquiries import answer_due_inquiries
from db.errors import Refused
from db.health import confirmations
from db.inbox import claims

if TYPE_CHECKING:
    from tasks.context import Context

# Any more held events are judged again by the next run, a minute later.
JUDGED_PER_RUN_MAX = 500
# Any more events whose wait is over are woken by the next run.
WOKEN_PER_RUN_MAX = 10_000
# Each expired hold is rejected in a transaction of its own.
EXPIRED_PER_RUN_MAX = 100
REMINDED_PER_RUN_MAX = 100
# Any more are released by the next run. One transaction locks their payments.
UNFROZEN_PER_RUN_MAX = 100
ANSWERED_PER_RUN_MAX = 1_000
# By each worker, while it lasts.
LATE_AGAIN_AFTER_S = 3_600.0


async def tidy_up(ctx: Context) -> None:
    """Wake events that have waited long enough, and judge held events again.

    An event that is held for a buyer, a product or a rate is judged again once that is there. A
    purchase that is held for longer than HOLD_EXPIRES_DAYS is rejected, and one that is frozen by
    a warning of 120 days ago is released. A question of Apple that no person answers is answered.
    What a store was not told in time is said. Also adds up the event counts, and deletes old
    payloads, old messages to the app and old history.
    """
    woken = await claims.wake_waiting_events(ctx.pool, limit=WOKEN_PER_RUN_MAX)
    if woken:
        ctx.log.info("waiting_events_woken", events=woken)
    judged = await claims.judge_holds_again(ctx.pool, limit=JUDGED_PER_RUN_MAX)
    if judged:
        ctx.log.info("held_events_judged_again", events=judged)
    dated = await housekeeping.date_calls_anew(ctx.pool)
    if dated:
        ctx.log.warning("calls_dated_anew", calls=dated)
    await _expire_holds(ctx)
    expired = await freezes.expire_freezes(ctx.pool, limit=UNFROZEN_PER_RUN_MAX)
    if expired:
        ctx.log.info("freezes_expired", freezes=expired)
    mended = await freezes.mend_freezes(ctx.pool, limit=UNFROZEN_PER_RUN_MAX)
    if mended:
        ctx.log.info("freezes_mended", payments=mended)
    await _answer_stores(ctx)
    await _report_late_confirmations(ctx)
    folded = housekeeping.TALLIES_PER_CALL
    while folded >= housekeeping.TALLIES_PER_CALL and not ctx.stopping.is_set():
        folded = await housekeeping.fold_event_tallies(ctx.pool)
    dropped = await housekeeping.drop_old_payloads(ctx.pool)
    if dropped:
        ctx.log.info("old_payloads_dropped", events=dropped)
    taken = housekeeping.DELIVERIES_PER_CALL
    while taken >= housekeeping.DELIVERIES_PER_CALL and not ctx.stopping.is_set():
        taken = await housekeeping.drop_old_deliveries(ctx.pool)
    await housekeeping.trim_history(ctx.pool)


async def _report_late_confirmations(ctx: Context) -> None:
    """Say which purchases a store was not told of in time: it may refund them by itself."""
    for late in await confirmations.read_late_confirmations(ctx.pool):
        if ctx.pace.is_alarm_due((late.provider, late.lacks), LATE_AGAIN_AFTER_S):
            ctx.log.error(
                "purchases_lack_confirmation",
                provider=late.provider,
                lacks=late.lacks,
                purchases=late.purchases,
                oldest_s=round(late.oldest_s),
                then="see `coinfleet status`",
            )


async def _answer_stores(ctx: Context) -> None:
    for each in await answer_due_inquiries(ctx.pool, limit=ANSWERED_PER_RUN_MAX):
        ctx.log.info(
            "store_answered",
            inquiry_id=each.id,
            event_id=each.event_id,
            delivery_status=each.delivery_status,
        )


async def _expire_holds(ctx: Context) -> None:
    """Say which holds are half over, and reject those that are over, one by one."""
    for reminder in await expiry.remind_of_holds(ctx.pool, limit=REMINDED_PER_RUN_MAX):
        ctx.log.error(
            "hold_expires",
            event_id=reminder.event_id,
            purchase_id=reminder.purchase_id,
            reason=reminder.reason,
            expires_at=reminder.expires_at.isoformat(),
        )
    for _ in range(EXPIRED_PER_RUN_MAX):
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
