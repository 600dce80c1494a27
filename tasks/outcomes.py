"""Outcomes: counts and logs what became of the events of a batch.

Changes nothing; the outcomes are already in the database.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from db.errors.stored_errors import kind_of, without_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.inbox.batches import BatchResult, EventId, Failure, Outcome
    from tasks.context import Meter

log = structlog.get_logger(__name__)

# `applied` is the log line's `events`; `pending` events are its `failed` and `postponed`.
_COUNTED_APART = frozenset({"applied", "pending"})


def report_batch(meter: Meter, result: BatchResult, details: Mapping[EventId, str]) -> None:
    """Count each event of a committed batch by its outcome, and log the batch in one line.

    `details` holds the id that a verdict names, by event.
    """
    failed_ids = {failure.event_id for failure in result.failures}
    for outcome in result.outcomes:
        meter.note_outcome(outcome.state, outcome.reason)
        if outcome.event_id not in failed_ids:
            _log_outcome(outcome, details.get(outcome.event_id))
    for outcome in result.settled:
        meter.note_outcome(outcome.state, outcome.reason)
    for failure in result.failures:
        report_failure(meter, failure)
    for seconds in result.latencies_s:
        meter.note_latency(seconds)
    states = Counter(outcome.state for outcome in result.outcomes)
    failed = sum(failure.state == "pending" for failure in result.failures)
    others = {state: states[state] for state in sorted(states) if state not in _COUNTED_APART}
    # A postponed event is, for example, a gift whose sender may have bought coins just before.
    others |= {"failed": failed, "postponed": states["pending"] - failed}
    # Events of earlier batches: for example a refund that waited for its purchase.
    others["settled"] = len(result.settled)
    fields = {name: number for name, number in others.items() if number}
    log.info("batch_applied", events=states["applied"], claimed=result.claimed, **fields)


def report_failure(meter: Meter, failure: Failure) -> None:
    """Count a failed attempt at an event; log its cause, its number and what happens next."""
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


def _log_outcome(outcome: Outcome, detail: str | None) -> None:
    """Log an outcome that a person should know of."""
    match outcome.state, outcome.reason:
        case "held", reason:
            log.warning("event_held", event_id=outcome.event_id, reason=reason)
        case "rejected", "account_mismatch":
            # A webhook of another account points here by mistake, or somebody tries to get coins.
            log.error("event_of_another_account", event_id=outcome.event_id, account=detail)
        case "applied", "no_fx_rate":
            # The dispute is in another currency, so the coins of the whole payment were taken. Add
            # a rate to fx_rates, then make the event pending again.
            log.error("dispute_without_rate", event_id=outcome.event_id)
        case ("dead", reason) | (
            "rejected",
            "no_purchase" | "malformed" | "charge_failed" as reason,
        ):
            # Money may have moved at the provider and no coins here: a person must look.
            log.error("event_not_applied", event_id=outcome.event_id, reason=reason)
        case _:
            pass
