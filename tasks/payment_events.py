"""Payment events: claim what is due, say what each means, apply it, until nothing is left.

Interpretation belongs to tasks.providers and application to db; here is only the loop and what it
does when a batch fails.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

import structlog

from db.batches import BatchFailed, BatchLost
from db.errors import is_transient
from db.facts import Verdict
from db.failures import kind_of, without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from db.batches import BatchResult, ClaimedEvent, EventId, Failure, Outcome
    from db.facts import Fact
    from tasks.context import Context, Meter

log = structlog.get_logger(__name__)

# An event that fails alone for a passing cause for so long is an alarm, again every five minutes.
ALARM_AFTER_S = 15 * 60.0
ALARM_AGAIN_S = 5 * 60.0
# When so many came at once, more are on their way. Let them gather for a moment: in a batch of
# hundreds an event costs half of what it does in one of fifty. A few, or one, wait for nothing.
FLOW_FROM_EVENTS = 10
GATHERING_S = 0.02


async def process_payment_events(ctx: Context) -> int:
    """Apply due events until none is left or the process stops; gives how many there were.

    Any number of these may run at once: events are claimed by row lock. Raises DatabaseUnavailable
    while the database is away; nothing is lost by that.
    """
    total = 0
    while not ctx.stopping.is_set():
        limit = min(ctx.pace.limit or ctx.batch_size, ctx.batch_size)
        started = time.monotonic()
        try:
            details: dict[EventId, str] = {}
            result = await ctx.inbox.process_batch(
                _interpreter(ctx, details), limit=limit, short_lock_timeout=ctx.pace.is_in_trouble
            )
        except BatchLost as lost:
            # Nobody's fault, unless it goes on so: a smaller batch finds out whose.
            ctx.pace.fail(batches=ctx.meter.batches)
            if not ctx.pace.is_to_be_tried_again(lost.event_ids):
                ctx.pace.halve(len(lost.event_ids))
            raise
        except BatchFailed as failure:
            ctx.pace.fail(batches=ctx.meter.batches)
            await _after_failure(ctx, failure)
            continue
        if result.claimed == 0:
            if not ctx.pace.is_in_trouble:
                ctx.meter.forget_trouble(ctx.pace)
            break
        total += result.claimed
        ctx.pace.succeed(batch_size=ctx.batch_size)
        ctx.meter.forget_trouble(ctx.pace)
        ctx.meter.note_batch(apply_ms=(time.monotonic() - started) * 1_000)
        _report(ctx.meter, result, details)
        if FLOW_FROM_EVENTS <= result.claimed < ctx.batch_size:
            await asyncio.sleep(GATHERING_S)
    return total


async def _after_failure(ctx: Context, failure: BatchFailed) -> None:
    """Try the same again if the failure may pass, else in halves; at last do with the one event.

    What passes counts against no event: while others succeed it waits, and is tried alone.
    """
    ctx.meter.note_trouble(ctx.pace, failure.error)
    events = len(failure.event_ids)
    is_again = failure.transient and not failure.is_timeout
    if is_again and ctx.pace.is_to_be_tried_again(failure.event_ids):
        _log_failure(ctx, failure, then="tried again")
    elif events > 1:
        _log_failure(ctx, failure, then=f"tried by {ctx.pace.halve(events)}")
    elif failure.transient:
        await _set_aside(ctx, failure)
    else:
        await _fail(ctx, failure)
        ctx.pace.succeed(batch_size=ctx.batch_size)
        return
    if failure.transient:
        await _pause(ctx)


def _log_failure(ctx: Context, failure: BatchFailed, *, then: str) -> None:
    log.warning(
        "batch_failed",
        events=len(failure.event_ids),
        sqlstate=failure.sqlstate,
        error=failure.error,
        attempt=ctx.pace.failures,
        then=then,
    )


async def _set_aside(ctx: Context, failure: BatchFailed) -> None:
    """Have an event wait that failed alone; while nothing succeeds, with all the others."""
    event_id = failure.event_ids[0]
    others_succeed = ctx.pace.set_aside(event_id, batches=ctx.meter.batches)
    try:
        setback = await ctx.inbox.set_aside(event_id, failure, others_succeed=others_succeed)
    except Exception as error:
        # A full disk takes this note as little as the event.
        if not is_transient(error):
            raise
        setback = None
    if setback is None:
        _log_failure(ctx, failure, then="tried again")
        return
    _log_failure(ctx, failure, then=f"tried again in {setback.pause_s:.0f} s")
    if setback.failing_s >= ALARM_AFTER_S and ctx.pace.is_alarm_due(event_id, ALARM_AGAIN_S):
        log.error(
            "event_keeps_failing",
            event_id=event_id,
            sqlstate=failure.sqlstate,
            error=failure.error,
            failing_s=round(setback.failing_s),
            then="tried on for as long as it takes: find what is in its way",
        )


async def _fail(ctx: Context, failure: BatchFailed) -> None:
    """Count an attempt of the one event whose own the failure is."""
    event_id = failure.event_ids[0]
    await ctx.inbox.fail_event(event_id, failure.error)
    for failed in await ctx.inbox.read_failures([event_id]):
        _report_failure(ctx.meter, failed)
        if failed.state == "dead":
            ctx.meter.note_outcome("dead", "failed")


async def _pause(ctx: Context) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ctx.stopping.wait(), ctx.pace.pause_s)


def _interpreter(ctx: Context, details: dict[EventId, str]) -> Callable[[ClaimedEvent], Fact]:
    """Return what interprets an event; it fills `details` for the log."""

    def interpret(event: ClaimedEvent) -> Fact:
        try:
            fact = ctx.providers[event.provider].interpret(event)
        # One event that we can't read must not stop those beside it: it fails alone, and is seen.
        except Exception as error:  # noqa: BLE001
            # Not the traceback: its last line may quote what somebody sent.
            where = extract_tb(error.__traceback__)[-1]
            log.error(  # noqa: TRY400
                "event_not_interpreted",
                event_id=event.id,
                error=type(error).__name__,
                at=f"{Path(where.filename).name}:{where.lineno}",
            )
            return Verdict(state="failed", reason=f"{type(error).__name__}: {error}"[:500])
        if isinstance(fact, Verdict) and fact.detail:
            details[event.id] = fact.detail
        return fact

    return interpret


def _report(meter: Meter, result: BatchResult, details: Mapping[EventId, str]) -> None:
    """Count and log what became of each event: outcomes, not attempts."""
    failed_ids = {failure.event_id for failure in result.failures}
    for outcome in result.outcomes:
        meter.note_outcome(outcome.state, outcome.reason)
        if outcome.event_id not in failed_ids:
            _log_outcome(outcome, details.get(outcome.event_id))
    for outcome in result.settled:
        meter.note_outcome(outcome.state, outcome.reason)
    for failure in result.failures:
        _report_failure(meter, failure)
    for seconds in result.latencies_s:
        meter.note_latency(seconds)
    states = Counter(outcome.state for outcome in result.outcomes)
    failed = sum(failure.state == "pending" for failure in result.failures)
    others = {state: states[state] for state in sorted(states) if state not in _NOT_FINISHED}
    # Postponed is such as a gift whose top-up may be on its way.
    others |= {"failed": failed, "postponed": states["pending"] - failed}
    # Events of earlier batches: a refund that waited for its purchase, say.
    others["settled"] = len(result.settled)
    told = {name: number for name, number in others.items() if number}
    log.info("batch_applied", events=states["applied"], claimed=result.claimed, **told)


_NOT_FINISHED = frozenset({"applied", "pending"})


def _log_outcome(outcome: Outcome, detail: str | None) -> None:
    match outcome.state, outcome.reason:
        case "held", reason:
            log.warning("event_held", event_id=outcome.event_id, reason=reason)
        case "rejected", "account_mismatch":
            # Another account's money on our endpoint: a wrong webhook, or somebody's attempt.
            log.error("event_of_another_account", event_id=outcome.event_id, account=detail)
        case "applied", "no_fx_rate":
            # A dispute in another currency: coins of the whole payment were taken. Set a rate of
            # today in fx_rates and make the event pending again.
            log.error("dispute_without_rate", event_id=outcome.event_id)
        case ("dead", reason) | (
            "rejected",
            "no_purchase" | "malformed" | "charge_failed" as reason,
        ):
            # Somebody's money moved at a provider and not here: a person must look.
            log.error("event_not_applied", event_id=outcome.event_id, reason=reason)
        case _:
            pass


def _report_failure(meter: Meter, failure: Failure) -> None:
    """Count a failed attempt; log its cause, its number and what happens next."""
    meter.note_failure(kind_of(failure.error))
    is_dead = failure.state == "dead"
    log.log(
        logging.ERROR if is_dead else logging.WARNING,
        "event_failed",
        event_id=failure.event_id,
        sqlstate=kind_of(failure.error),
        error=without_values(failure.error),
        attempt=failure.attempts,
        then="dead: see `coinfleet status`"
        if is_dead
        else f"tried again in {max(failure.retry_in_s or 0, 0):.0f} s",
    )
