"""A batch of events: what is claimed, what became of each, what failed. It asks no database."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NewType

from db.errors import (
    CoinfleetError,
    DatabaseUnavailable,
    Fate,
    describe,
    fate_of_sqlstate,
    is_timeout,
    sqlstate_of,
)
from db.errors.stored_errors import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from db.facts import Fact
    from db.inbox.batch_starts import StartNote

EventId = NewType("EventId", int)

SQLSTATE_LENGTH = 5


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """An event whose row this worker holds."""

    id: EventId
    provider: str
    provider_event_id: str
    event_type: str
    payload: bytes
    received_at: datetime
    attempts: int
    age_s: float = 0.0
    """Time from its receipt to its claim, by the database's clock."""
    answer: bytes | None = None
    """What its provider answered to the event's question, as JSON; None before that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event; `reason` is null for one that was simply applied."""

    event_id: EventId
    state: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt at an event: `pending` until the next, in so many seconds, or `dead`."""

    event_id: EventId
    state: str
    attempts: int
    error: str
    retry_in_s: float | None

    @property
    def is_bug(self) -> bool:
        """Whether a release that is half way can cause a failure of this kind."""
        kind = kind_of(self.error)
        return len(kind) == SQLSTATE_LENGTH and fate_of_sqlstate(kind) is Fate.BUG


@dataclass(frozen=True, slots=True)
class Setback:
    """An event that failed alone for a passing cause: how often while others did not, how long."""

    setbacks: int
    pause_s: float
    failing_s: float


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How many events were claimed and what became of each.

    `settled` are events of earlier batches that waited or were held, and were settled by this one:
    a refund by its purchase, say. `latencies_s` holds, for each applied event, the time from its
    receipt to the batch's commit, by the database's clock up to the claim.
    """

    claimed: int
    outcomes: Sequence[Outcome]
    settled: Sequence[Outcome] = ()
    failures: Sequence[Failure] = ()
    latencies_s: Sequence[float] = ()


class BatchFailed(CoinfleetError):
    """A batch was rolled back; its events are as they were before."""

    def __init__(self, event_ids: Sequence[EventId], *, fate: Fate, error: Exception) -> None:
        self.error = describe(error)
        super().__init__(f"{len(event_ids)} events: {self.error}")
        self.event_ids = event_ids
        self.fate = fate
        self.sqlstate = sqlstate_of(error)
        self.is_timeout = is_timeout(error)

    @property
    def transient(self) -> bool:
        """Whether the same batch may succeed later."""
        return self.fate is Fate.TRANSIENT


class BatchLost(DatabaseUnavailable):
    """The connection was lost while a batch was applied; nothing of it was done."""

    def __init__(self, event_ids: Sequence[EventId], error: Exception) -> None:
        super().__init__(describe(error))
        self.event_ids = event_ids


class ReleaseHalfWay(DatabaseUnavailable):
    """The schema lacks something of this release, or a release is at work on it."""


@dataclass(slots=True)
class Batch:
    """A batch in flight."""

    interpret: Callable[[ClaimedEvent], Fact]
    limit: int
    short_lock_timeout: bool = False
    note: StartNote | None = None
    claimed: list[ClaimedEvent] = field(default_factory=list)
    claimed_at: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    settled: list[tuple[Outcome, float]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def claim(self, rows: Iterable[Iterable[Any]]) -> None:
        """Take the events of these rows, which are now held."""
        self.claimed = [ClaimedEvent(*row) for row in rows]
        self.claimed_at = time.monotonic()

    def record(self, rows: Iterable[Iterable[Any]]) -> None:
        """Record the outcomes of these events, and of others that waited for `waited_s` seconds."""
        for *outcome, waited_s in rows:
            if waited_s is None:
                self.outcomes.append(Outcome(*outcome))
            else:
                self.settled.append((Outcome(*outcome), waited_s))

    def result(self) -> BatchResult:
        """Return what became of the events. Call it when the batch is committed."""
        ages_s = {event.id: event.age_s for event in self.claimed}
        since_s = time.monotonic() - self.claimed_at
        own_s = [ages_s[each.event_id] + since_s for each in self.outcomes if _is_applied(each)]
        return BatchResult(
            claimed=len(self.claimed),
            outcomes=self.outcomes,
            settled=[each for each, _ in self.settled],
            failures=self.failures,
            latencies_s=own_s + [waited_s for each, waited_s in self.settled if _is_applied(each)],
        )


def _is_applied(outcome: Outcome) -> bool:
    return outcome.state == "applied"
