"""Payment events: claims due events, has each interpreted, and applies them, batch by batch.

Owns the loop and what it does when a batch fails. What an event means is decided in
tasks.providers, what it does in db.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING

import structlog

from db.errors import is_transient
from db.facts import Verdict
from db.inbox.batches import BatchFailed, BatchLost
from tasks.outcomes import report_batch, report_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from db.facts import Fact
    from db.inbox.batches import ClaimedEvent, EventId
    from tasks.context import Context
    from tasks.providers.provider import Provider

log = structlog.get_logger(__name__)

# An event that has failed alone for so long, for a cause that passes, needs a person.
ALARM_AFTER_S = 15 * 60.0
ALARM_EVERY_S = 5 * 60.0
# If a batch was as large as this, more events are on their way, so the next one waits for them: in
# a batch of hundreds an event costs half of what it costs in a batch of fifty. After a smaller
# batch there is no wait.
GATHER_FROM_EVENTS = 10
GATHER_S = 0.02


async def process_payment_events(ctx: Context) -> int:
    """Apply due events until none is left or the process stops. Return how many were claimed.

    Each batch is one transaction that claims its events by row lock, so any number of these may run
    at once. A batch that fails is tried again, then in halves, until the event that makes it fail
    is alone; that one is set aside or counted as failed, and all others are applied. Raises
    DatabaseUnavailable; the events of the batch in hand are then still pending.
    """
    total = 0
    while not ctx.stopping.is_set():
        limit = min(ctx.pace.limit or ctx.batch_size, ctx.batch_size)
        started, began_ns = time.monotonic(), time.time_ns()
        try:
            details: dict[EventId, str] = {}
            result = await ctx.inbox.process_batch(
                _interpreter(ctx, details), limit=limit, short_lock_timeout=ctx.pace.is_slowed
            )
        except BatchLost as lost:
            # The connection was lost. If that goes on, an event may be the cause: a smaller batch
            # finds out which.
            ctx.pace.note_failure(batches=ctx.meter.batches)
            if not ctx.pace.has_tries_left(lost.event_ids):
                ctx.pace.halve(len(lost.event_ids))
            raise
        except BatchFailed as failure:
            ctx.pace.note_failure(batches=ctx.meter.batches)
            if ctx.observe_batch:
                await ctx.observe_batch(failure.event_ids, began_ns=began_ns, error=failure.error)
            await _after_failure(ctx, failure)
            continue
        if result.claimed == 0:
            if not ctx.pace.is_slowed:
                ctx.meter.forget_trouble(ctx.pace)
            break
        total += result.claimed
        ctx.pace.note_success(batch_size=ctx.batch_size)
        ctx.meter.forget_trouble(ctx.pace)
        ctx.meter.note_batch(apply_ms=(time.monotonic() - started) * 1_000)
        report_batch(ctx.meter, result, details)
        if ctx.observe_batch:
            claimed = [outcome.event_id for outcome in result.outcomes]
            await ctx.observe_batch(claimed, began_ns=began_ns)
        if GATHER_FROM_EVENTS <= result.claimed < ctx.batch_size:
            await asyncio.sleep(GATHER_S)
    return total


async def _after_failure(ctx: Context, failure: BatchFailed) -> None:
    """Decide how the events of a failed batch are tried next.

    They are tried again together if the cause may pass, then in halves. An event that fails alone
    for a cause that passes is set aside, which counts as no attempt; for any other cause the
    failure is the event's own.
    """
    ctx.meter.note_trouble(ctx.pace, failure.error)
    events = len(failure.event_ids)
    may_pass = failure.transient and not failure.is_timeout
    if may_pass and ctx.pace.has_tries_left(failure.event_ids):
        _log_failure(ctx, failure, then="tried again")
    elif events > 1:
        _log_failure(ctx, failure, then=f"tried by {ctx.pace.halve(events)}")
    elif failure.transient:
        await _set_aside(ctx, failure)
    else:
        await _fail(ctx, failure)
        ctx.pace.note_success(batch_size=ctx.batch_size)
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
    """Let an event that failed alone wait; if no other event succeeds either, let all of them."""
    event_id = failure.event_ids[0]
    others_succeed = ctx.pace.set_aside(event_id, batches=ctx.meter.batches)
    try:
        setback = await ctx.inbox.set_aside(event_id, failure, others_succeed=others_succeed)
    except Exception as error:
        # What makes the event fail, a full disk for example, may make this write fail too.
        if not is_transient(error):
            raise
        setback = None
    if setback is None:
        _log_failure(ctx, failure, then="tried again")
        return
    _log_failure(ctx, failure, then=f"tried again in {setback.pause_s:.0f} s")
    if setback.failing_s >= ALARM_AFTER_S and ctx.pace.is_alarm_due(event_id, ALARM_EVERY_S):
        log.error(
            "event_keeps_failing",
            event_id=event_id,
            sqlstate=failure.sqlstate,
            error=failure.error,
            failing_s=round(setback.failing_s),
            then="tried again until it succeeds: remove the cause of the error",
        )


async def _fail(ctx: Context, failure: BatchFailed) -> None:
    """Count a failed attempt at the one event that is the cause of the failure."""
    event_id = failure.event_ids[0]
    await ctx.inbox.fail_event(event_id, failure.error)
    for failed in await ctx.inbox.read_failures([event_id]):
        report_failure(ctx.meter, failed)
        if failed.state == "dead":
            ctx.meter.note_outcome("dead", "failed")


async def _pause(ctx: Context) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ctx.stopping.wait(), ctx.pace.pause_s)


def _interpreter(ctx: Context, details: dict[EventId, str]) -> Callable[[ClaimedEvent], Fact]:
    """Return the function that interprets an event; it adds to `details` what the log names."""

    def interpret(event: ClaimedEvent) -> Fact:
        fact = interpret_event(ctx.providers, event)
        if isinstance(fact, Verdict) and fact.detail:
            details[event.id] = fact.detail
        return fact

    return interpret


def interpret_event(providers: Mapping[str, Provider], event: ClaimedEvent) -> Fact:
    """Return what an event means. One that its provider fails on has failed, alone."""
    try:
        return providers[event.provider].interpret(event)
    # A bug: the event fails alone, and the others of its batch are applied.
    except Exception as error:  # noqa: BLE001
        # Not the traceback, because its last line may quote a part of the payload.
        where = extract_tb(error.__traceback__)[-1]
        log.error(  # noqa: TRY400
            "event_not_interpreted",
            event_id=event.id,
            error=type(error).__name__,
            at=f"{Path(where.filename).name}:{where.lineno}",
        )
        return Verdict(state="failed", reason=f"{type(error).__name__}: {error}"[:500])
