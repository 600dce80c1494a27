"""What Google lists of the past: voided purchases, and what became of orders that we know.

A purchase that nobody told us of is in no list. Only a process that has the key imports this
module.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from db.backfills import KnownOrder
from tasks.providers.calls import CallRefused
from tasks.providers.google.api import (
    GONE,
    GoogleApi,
    GoogleRefused,
    RightMissing,
    decoded,
    quoted,
    refused,
)
from tasks.providers.google.listing import (
    BACKFILL_ORDER,
    BACKFILL_VOIDED,
    PARTIALLY_REFUNDED,
    REFUNDED,
    order_event_id,
    order_payload,
    void_event_id,
    void_payload,
)
from tasks.providers.google.objects import Order, VoidedRow
from tasks.providers.history import History, Page, PastEvent
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import arrival, unreadable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from tasks.providers.history import KnownOrders

# The list of voids has a limit of its own: 30 in 30 seconds. Calls come first.
REQUESTS_PER_S = 1.0
VOIDS_MAX = 1_000
# Orders that are taken from our books at once; those of one hour are a few dozen of them.
KNOWN_MAX = 1_000
# Their ids are in the address, which has 4 KB with so many.
ORDERS_MAX = 100
# The times of a range that begins a moment too early are refused.
MARGIN = timedelta(hours=1)
# After a pause that made a range of more days than that, all orders are read at once.
LONG_RANGE = timedelta(days=4)
# Else a day's runs read each order once: those whose turn the hour is.
HOURS = 24


class Pagination(msgspec.Struct, rename="camel"):
    """Where the list goes on."""

    next_page_token: str | None = None


class Voids(msgspec.Struct, rename="camel"):
    """A page of the list."""

    voided_purchases: list[msgspec.Raw] = msgspec.field(default_factory=list)
    token_pagination: Pagination | None = None


class Orders(msgspec.Struct):
    """Orders that were asked for by their ids."""

    orders: list[msgspec.Raw] = msgspec.field(default_factory=list)


class Position(NamedTuple):
    """Where to go on: in the voids of an app, then after an order that we know.

    `refused` names an app whose history the account may not read: the others are read all the same,
    and then the reading fails.
    """

    app_no: int = 0
    token: str | None = None
    after: KnownOrder | None = None
    refused: str | None = None

    def without(self, package: str, error: RightMissing) -> Position:
        """Return the same place, with an app noted that can't be read."""
        return self._replace(refused=self.refused or f"{package}: {error}")


_POSITION = msgspec.json.Decoder(Position)


class GoogleHistory(History):
    """Voided purchases of our apps, and orders of the last 60 days."""

    keeps = timedelta(days=30)
    # A void may be listed days after it was made.
    overlap = timedelta(days=3)
    gaps = (
        "Google lists no purchases: seek the Pub/Sub subscription to have lost pushes sent again.",
    )

    def __init__(self, provider: str, *, packages: Sequence[str], account: Path, base: str) -> None:
        self._provider = provider
        self._packages = packages
        self._api = GoogleApi(account=account, base=base, requests_per_s=REQUESTS_PER_S)

    async def pages(
        self,
        since: datetime,
        until: datetime,
        cursor: str | None,
        *,
        orders: KnownOrders,
        all_orders: bool = False,
    ) -> AsyncGenerator[Page]:
        """Yield the voids of one app after the other, then orders; see History.pages."""
        at = _read(cursor) if cursor else Position()
        now: datetime | None = None
        while at.app_no < len(self._packages):
            package = self._packages[at.app_no]
            try:
                answer = await self._get(_voids_path(package, at.token, since, until))
            except RightMissing as error:
                at = at.without(package, error)._replace(app_no=at.app_no + 1, token=None)
                continue
            found, now = decoded(answer, Voids), answer.dated_at
            following = found.token_pagination.next_page_token if found.token_pagination else None
            next_no = at.app_no if following else at.app_no + 1
            at = at._replace(app_no=next_no, token=following)
            events = [self._void(package, row) for row in found.voided_purchases]
            yield Page(events=events, cursor=_text(at), reaches=since)
        hour = None if all_orders or until - since > LONG_RANGE else until.hour
        while known := await orders(at.after, KNOWN_MAX):
            at = at._replace(after=known[-1])
            due = [each for each in known if hour is None or each.purchase_id % HOURS == hour]
            events = []
            for package in sorted({each.store_app for each in due}):
                order_ids = [each.order_id for each in due if each.store_app == package]
                try:
                    events += await self._orders(package, order_ids)
                except RightMissing as error:
                    at = at.without(package, error)
            yield Page(events=events, cursor=_text(at), reaches=since)
        if at.refused:
            raise CallRefused(at.refused)
        yield Page(cursor=_text(at), reaches=min(until, now or until))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _orders(self, package: str, order_ids: Sequence[str]) -> list[PastEvent]:
        """Return those of which something went back."""
        events: list[PastEvent] = []
        for no in range(0, len(order_ids), ORDERS_MAX):
            asked = order_ids[no : no + ORDERS_MAX]
            found = [self._order(package, row) for row in await self._read_orders(package, asked)]
            events += [event for event in found if event]
        return events

    async def _read_orders(self, package: str, order_ids: Sequence[str]) -> list[msgspec.Raw]:
        """Return the orders. Google refuses all of them for one that it does not know."""
        query = urlencode([("orderIds", each) for each in order_ids])
        path = f"{quoted(package)}/orders:batchGet?{query}"
        try:
            return decoded(await self._api.send("GET", path), Orders).orders
        except GoogleRefused as error:
            if error.status not in (400, *GONE):
                raise refused(error) from None
        if len(order_ids) == 1:
            return []
        middle = len(order_ids) // 2
        first = await self._read_orders(package, order_ids[:middle])
        return first + await self._read_orders(package, order_ids[middle:])

    async def _get(self, path: str) -> Any:
        try:
            return await self._api.send("GET", path)
        except GoogleRefused as error:
            raise refused(error) from None

    def _void(self, package: str, listed: msgspec.Raw) -> PastEvent:
        try:
            row = msgspec.json.decode(listed, type=VoidedRow)
        except UNREADABLE_ERRORS:
            return self._unreadable(listed)
        return self._past_event(void_event_id(row), BACKFILL_VOIDED, void_payload(package, row))

    def _order(self, package: str, listed: msgspec.Raw) -> PastEvent | None:
        """Return the event of an order; None if nothing of it went back."""
        try:
            order = msgspec.json.decode(listed, type=Order)
        except UNREADABLE_ERRORS:
            return self._unreadable(listed)
        if order.state not in (*REFUNDED, PARTIALLY_REFUNDED):
            return None
        return self._past_event(
            order_event_id(order), BACKFILL_ORDER, order_payload(package, order)
        )

    def _unreadable(self, listed: msgspec.Raw) -> PastEvent:
        # Kept where a person sees it: one that can't be read must not hide the others.
        return PastEvent(unreadable(self._provider, bytes(listed)), None)

    def _past_event(self, event_id: str, event_type: str, payload: bytes) -> PastEvent:
        # A webhook tells of the same under another id, so none of these is counted as missed.
        return PastEvent(
            arrival(self._provider, event_id=event_id, event_type=event_type, body=payload), None
        )


def _voids_path(package: str, token: str | None, since: datetime, until: datetime) -> str:
    begin = max(since, until - GoogleHistory.keeps + MARGIN)
    query: dict[str, str | int] = {
        "startTime": _millis(begin),
        "endTime": _millis(until),
        "type": 0,
        # Google leaves out what went back in part unless it is asked.
        "includeQuantityBasedPartialRefund": "true",
        "maxResults": VOIDS_MAX,
    }
    if token is not None:
        query["token"] = token
    return f"{quoted(package)}/purchases/voidedpurchases?{urlencode(query)}"


def _millis(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1_000)


def _text(at: Position) -> str:
    return msgspec.json.encode(at).decode()


def _read(cursor: str) -> Position:
    try:
        return _POSITION.decode(cursor)
    except UNREADABLE_ERRORS:
        raise CallRefused("the cursor can't be read") from None
