"""What `coinfleet status` asks of the outbox: which calls to providers need a person.

Messages to the app are asked for in db/outbox/deliveries.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import timedelta

    from db.connections.pool import Pool

LISTED_MAX = 20


class CallCount(msgspec.Struct, frozen=True):
    """Calls of one kind that are `pending` or `dead`; so many of them were never tried.

    `oldest_s` is the age of the oldest, `last_error` why one of them failed.
    """

    provider: str
    kind: str
    state: str
    calls: int
    untried: int
    oldest_s: float
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class ParkedCall:
    """A call that failed, and since when: dead, or still tried."""

    id: int
    kind: str
    last_error: str | None
    failing_s: float
    event_id: int | None = None
    """The event that waits for its answer."""


@dataclass(frozen=True, slots=True)
class UntriedCalls:
    """Calls to a provider that no worker makes."""

    provider: str
    calls: int
    oldest_s: float


async def read_dead_calls(pool: Pool) -> tuple[int, ParkedCall] | None:
    """Return how many calls are dead, and the oldest of them; None if there is none."""
    row = await pool.fetchrow(
        "select id, kind, last_error,"
        " extract(epoch from clock_timestamp() - created_at)::float8, event_id, count(*) over ()"
        " from fleet.provider_calls where state = 'dead' and kind <> 'app.deliver'"
        " order by id limit 1"
    )
    if row is None:
        return None
    *oldest, calls = row
    return calls, ParkedCall(*oldest)


async def read_failing_calls(pool: Pool, *, longer_than: timedelta) -> list[ParkedCall]:
    """Return up to LISTED_MAX calls that have been failing for so long, the longest first."""
    rows = await pool.fetch(
        "select id, kind, last_error,"
        " extract(epoch from clock_timestamp() - first_attempt_at)::float8"
        " from fleet.provider_calls where state = 'pending' and last_error is not null"
        " and kind <> 'app.deliver'"
        " and first_attempt_at < clock_timestamp() - $1::interval"
        " order by first_attempt_at limit $2",
        longer_than,
        LISTED_MAX,
    )
    return [ParkedCall(*row) for row in rows]


async def read_untried_calls(pool: Pool, *, longer_than: timedelta) -> list[UntriedCalls]:
    """Return the providers to whom calls have waited for so long while none was tried.

    But not those of whom a worker reports that it asks nothing, and why.
    """
    rows = await pool.fetch(
        "select provider, count(*) filter (where due_at < clock_timestamp()),"
        " extract(epoch from clock_timestamp() - min(due_at))::float8"
        " from (select provider, first_attempt_at,"
        # A question that is asked again after a pause was answered before.
        " case when attempts > 0 then next_attempt_at else created_at end as due_at"
        " from fleet.provider_calls where state = 'pending' and kind <> 'app.deliver'"
        " and provider <> all(array(select f ->> 'provider' from fleet.worker_reports as r"
        " cross join jsonb_array_elements(r.detail -> 'faults') as f"
        " where r.reported_at > clock_timestamp() - interval '30 seconds'))) as waiting"
        " group by provider"
        " having bool_and(first_attempt_at is null)"
        " and min(due_at) < clock_timestamp() - $1::interval order by provider",
        longer_than,
    )
    return [UntriedCalls(*row) for row in rows]
