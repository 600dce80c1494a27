"""History: what a provider lists of its past events, so that one that never reached us is found.

Knows no provider and no database: tasks/backfill.py stores the pages and remembers how far it came.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from datetime import datetime, timedelta

    from db.backfills import KnownOrder
    from db.inbox.arrivals import Arrival

    # Returns up to so many orders of the last 60 days that we know, the oldest first: those after
    # the one that is given.
    KnownOrders = Callable[[KnownOrder | None, int], Awaitable[list[KnownOrder]]]


class PastEvent(NamedTuple):
    """An event as the provider lists it now, and the provider's time of it.

    `made_at` is None if no webhook brings it under this id: then it is never counted as missed.
    """

    arrival: Arrival
    """Under the same `provider_event_id` as its webhook, so that it is stored once."""
    made_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of the history; it is stored whole before the next one is asked for.

    `cursor` is where to go on after this page, at most 2,000 characters, None only if `pages` would
    begin anew. `reaches`: all that the provider made up to this time stands in this page and those
    before it. It never is later than the provider's own clock (`Answer.dated_at`), because ours may
    be wrong, and must not be later than `since` if pages come in no order of time.
    """

    events: list[PastEvent] = field(default_factory=list)
    cursor: str | None
    reaches: datetime


class History(ABC):
    """Lists past events of one provider, at a rate of its own that leaves room for its calls."""

    keeps: ClassVar[timedelta]
    """How far back the provider lists events; older ones can't be found."""

    overlap: ClassVar[timedelta]
    """How much is read again each time, because the provider may list an event so late."""

    gaps: ClassVar[tuple[str, ...]] = ()
    """What can't be found in this way at all, a sentence each, for whoever runs a backfill."""

    @abstractmethod
    def pages(
        self,
        since: datetime,
        until: datetime,
        cursor: str | None,
        *,
        orders: KnownOrders,
        all_orders: bool = False,
    ) -> AsyncGenerator[Page]:
        """Yield what was made from `since` to `until`, or what is left of it after `cursor`.

        What is asked for by our own orders may be spread over a day's readings, unless `all_orders`
        is set. Asks the provider at least once and yields at least one page, so that `reaches` is
        known. The last page's `reaches` is `until`, or the provider's time if that is earlier.
        Raises what tasks/providers/calls.py lists; CallRefused also for a cursor that is of no use
        any more: then the history is read again from `since`. Yielding an event twice does no harm.
        """

    async def close(self) -> None:  # noqa: B027 - one without a client has nothing open
        """Close its connections."""
