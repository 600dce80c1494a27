"""Stripe's list of events, read from the oldest slice of time to the newest.

Stripe lists the newest first and 100 at most, so a time up to which all is seen is known only where
a slice was read to its end. Only a process that has the key imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import floor
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import msgspec

from tasks.providers import reading
from tasks.providers.calls import CallRefused, ProviderUnreachable
from tasks.providers.history import History, Page, PastEvent
from tasks.providers.http import AnswerTooLarge
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import arrival
from tasks.providers.stripe.api import StripeApi, StripeRefused, refused
from tasks.providers.stripe.interpret import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tasks.providers.history import KnownOrders
    from tasks.providers.http import Answer

# Stripe takes 25 per second in a sandbox, and refunds come first.
REQUESTS_PER_S = 5.0
# A month is 120 slices; an outage of a day is lost work of a few pages, if the process is killed.
SLICE_S = 6 * 3_600
EVENTS_MAX = 100
# Of one list.
TYPES_MAX = 20
# 100 events have 300 KB; with the largest metadata that Stripe takes, 5 MB.
ANSWER_BYTES_MAX = 8 * 1_048_576
TYPES = tuple(EVENT_TYPES[no : no + TYPES_MAX] for no in range(0, len(EVENT_TYPES), TYPES_MAX))


class Listed(msgspec.Struct):
    """The fields of a listed event that we need to store it."""

    id: str
    type: str
    created: Any = None  # epoch seconds


class EventList(msgspec.Struct):
    """A page of the list; each event stays as Stripe wrote it."""

    data: list[msgspec.Raw]
    has_more: bool


_LIST = msgspec.json.Decoder(EventList)
_LISTED = msgspec.json.Decoder(Listed)


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on: the slice that begins at `start_s`, its types, after the event `last_id`."""

    start_s: int
    types_no: int = 0
    last_id: str = ""

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Return the position that `text` wrote. Raises CallRefused."""
        start_s, _, rest = cursor.partition(" ")
        types_no, _, last_id = rest.partition(" ")
        # Another release may have read other types.
        if not (start_s.isdecimal() and types_no.isdecimal() and int(types_no) < len(TYPES)):
            raise CallRefused("the cursor can't be read")
        return cls(int(start_s), int(types_no), last_id)

    def text(self) -> str:
        """Return it as a cursor."""
        return f"{self.start_s} {self.types_no} {self.last_id}"


class StripeHistory(History):
    """The list of events of our account, of the types that mean something to us."""

    keeps = timedelta(days=30)
    overlap = timedelta(hours=1)

    def __init__(self, provider: str, *, key: str, base: str) -> None:
        self._provider = provider
        self._api = StripeApi(
            key=key,
            base=base,
            requests_per_s=REQUESTS_PER_S,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        self._limit = EVENTS_MAX

    async def pages(
        self,
        since: datetime,
        until: datetime,
        cursor: str | None,
        *,
        orders: KnownOrders,
        all_orders: bool = False,
    ) -> AsyncGenerator[Page]:
        """Yield the pages of one slice after the other; see History.pages."""
        del orders, all_orders
        # Its times are whole seconds, and the last one counts.
        end_s = floor(until.timestamp()) + 1
        at = Position.read(cursor) if cursor else Position(int(since.timestamp()))
        while True:
            slice_end_s = max(at.start_s + 1, min(at.start_s + SLICE_S, end_s))
            answer = await self._ask(at, slice_end_s)
            found = _read(answer)
            now = answer.dated_at or datetime.now(UTC)
            events = [self._past_event(raw, now) for raw in found.data]
            is_whole = not found.has_more and at.types_no + 1 >= len(TYPES)
            reaches = slice_end_s if is_whole else at.start_s
            at = _next(at, found, events, slice_end_s)
            yield Page(
                events=events,
                cursor=at.text(),
                reaches=min(datetime.fromtimestamp(reaches, UTC), until, now),
            )
            # Nothing was made after Stripe's own time, whatever ours is.
            if is_whole and slice_end_s >= min(end_s, now.timestamp()):
                return

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _ask(self, at: Position, slice_end_s: int) -> Answer:
        """Return a page of at most `self._limit` events, fewer if so many are too large."""
        while True:
            query: list[tuple[str, str | int]] = [
                ("limit", self._limit),
                ("created[gte]", at.start_s),
                ("created[lt]", slice_end_s),
                *(("types[]", each) for each in TYPES[at.types_no]),
            ]
            if at.last_id:
                query.append(("starting_after", at.last_id))
            try:
                return await self._api.get(f"/v1/events?{urlencode(query)}")
            except AnswerTooLarge:
                if self._limit == 1:
                    raise
                self._limit //= 2
            except StripeRefused as error:
                raise refused(error) from None

    def _past_event(self, raw: msgspec.Raw, now: datetime) -> PastEvent:
        body = bytes(raw)
        try:
            event = _LISTED.decode(body)
        except UNREADABLE_ERRORS:
            raise ProviderUnreachable("200 and an unreadable event") from None
        stored = arrival(self._provider, event_id=event.id, event_type=event.type, body=body)
        return PastEvent(stored, reading.moment(event.created) or now)


def _next(at: Position, found: EventList, events: list[PastEvent], slice_end_s: int) -> Position:
    """Return where to go on after this page."""
    if found.has_more:
        return replace(at, last_id=events[-1].arrival.provider_event_id)
    if at.types_no + 1 < len(TYPES):
        return Position(at.start_s, at.types_no + 1)
    return Position(slice_end_s)


def _read(answer: Answer) -> EventList:
    try:
        found = _LIST.decode(answer.body)
    except UNREADABLE_ERRORS:
        raise ProviderUnreachable("200 and an unreadable list") from None
    if found.has_more and not found.data:
        raise ProviderUnreachable("200 and an empty list with more to come")
    return found
