"""Apple's notification history: what it sent of each app, from the sandbox and from production.

Each item is the notification itself, as Apple signed it. Only a process that has the key imports
this module.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import msgspec

from tasks.providers import reading
from tasks.providers.apple.jws import read_payload
from tasks.providers.apple.objects import PRODUCTION, SANDBOX, Notification, Payload
from tasks.providers.calls import CallRefused, KeyRefused, ProviderUnreachable
from tasks.providers.history import History, Page, PastEvent
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.signed import NotAuthentic, NotVerified

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from db.inbox.arrivals import Arrival
    from tasks.providers.apple.api import AppStoreApi
    from tasks.providers.history import KnownOrders

PATH = "/inApps/v1/notifications/history"
# The sandbox first: production refuses the key of an app that was never released.
ENVIRONMENTS = (SANDBOX, PRODUCTION)
SANDBOX_KEEPS = timedelta(days=30)
# A range that begins a moment too early is refused.
MARGIN = timedelta(hours=1)


class Item(msgspec.Struct):
    """A notification that was sent, or could not be."""

    signedPayload: str  # noqa: N815 - the names are Apple's


class Items(msgspec.Struct):
    """A page of at most 20."""

    notificationHistory: list[Item] = msgspec.field(default_factory=list)  # noqa: N815
    hasMore: bool = False  # noqa: N815
    paginationToken: str | None = None  # noqa: N815


class Position(NamedTuple):
    """Where to go on: in the list of an app and an environment."""

    app_no: int = 0
    environment_no: int = 0
    token: str | None = None


_ITEMS = msgspec.json.Decoder(Items)
_POSITION = msgspec.json.Decoder(Position)
_PAYLOAD = msgspec.json.Decoder(Payload)


class AppleHistory(History):
    """The notifications of our apps; a list has no order of time.

    `verify` is the provider's own: it proves that Apple signed a body, and gives its inbox row.
    """

    keeps = timedelta(days=180)
    # Notifications are tried again for a week, and may be listed late.
    overlap = timedelta(days=1)
    gaps = ("Apple's sandbox lists the last 30 days only.",)

    def __init__(
        self,
        *,
        bundle_ids: Sequence[str],
        api: AppStoreApi,
        verify: Callable[[bytes, float], Arrival],
    ) -> None:
        self._bundle_ids = bundle_ids
        self._api = api
        self._verify = verify

    async def pages(
        self,
        since: datetime,
        until: datetime,
        cursor: str | None,
        *,
        orders: KnownOrders,
        all_orders: bool = False,
    ) -> AsyncGenerator[Page]:
        """Yield the pages of one app and environment after the other; see History.pages."""
        del orders, all_orders
        at = _read(cursor) if cursor else Position()
        while at.app_no < len(self._bundle_ids):
            found, now = await self._ask(at, since, until)
            at = _next(at, found)
            is_over = at.app_no == len(self._bundle_ids)
            yield Page(
                events=await asyncio.to_thread(self._past_events, found),
                cursor=_text(at),
                reaches=min(until, now or until) if is_over else since,
            )

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _ask(
        self, at: Position, since: datetime, until: datetime
    ) -> tuple[Items, datetime | None]:
        """Return a page, and Apple's time of it."""
        environment = ENVIRONMENTS[at.environment_no]
        keeps = SANDBOX_KEEPS if environment == SANDBOX else self.keeps
        asked = {
            "startDate": _millis(max(since, until - keeps + MARGIN)),
            "endDate": _millis(until),
        }
        path = f"{PATH}?{urlencode({'paginationToken': at.token})}" if at.token else PATH
        try:
            answer = await self._api.send(
                "POST",
                path,
                environment=environment,
                bundle_id=self._bundle_ids[at.app_no],
                body=msgspec.json.encode(asked),
            )
        except KeyRefused:
            # The sandbox has taken the key: this app has not been released yet.
            if environment == PRODUCTION:
                return Items(), None
            raise
        try:
            return _ITEMS.decode(answer.body), answer.dated_at
        except UNREADABLE_ERRORS:
            raise ProviderUnreachable("200 and an unreadable history") from None

    def _past_events(self, found: Items) -> list[PastEvent]:
        """Return the inbox rows. Runs on a thread: certificates may have to be proved first."""
        events = []
        for item in found.notificationHistory:
            body = msgspec.json.encode(Notification(item.signedPayload))
            try:
                arrival = self._verify(body, time.time())
            except NotAuthentic:
                # As a webhook it would have been refused, too.
                continue
            except NotVerified:
                raise ProviderUnreachable("a signature can't be checked now") from None
            events.append(PastEvent(arrival, _signed_at(item.signedPayload)))
        return events


def _next(at: Position, found: Items) -> Position:
    """Return where to go on after this page."""
    if found.hasMore:
        if not found.paginationToken:
            raise ProviderUnreachable("200 and no token with more to come")
        return at._replace(token=found.paginationToken)
    if at.environment_no + 1 < len(ENVIRONMENTS):
        return Position(at.app_no, at.environment_no + 1)
    return Position(at.app_no + 1)


def _read(cursor: str) -> Position:
    try:
        at = _POSITION.decode(cursor)
    except UNREADABLE_ERRORS:
        at = Position(-1)
    if at.app_no < 0 or not 0 <= at.environment_no < len(ENVIRONMENTS):
        raise CallRefused("the cursor can't be read")
    return at


def _text(at: Position) -> str:
    return msgspec.json.encode(at).decode()


def _signed_at(signed: str) -> datetime | None:
    """Return when Apple signed a notification; None if it does not say."""
    try:
        signed_ms = read_payload(signed, _PAYLOAD).signedDate
    except NotAuthentic:
        return None
    return None if signed_ms is None else reading.moment(signed_ms // 1_000)


def _millis(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1_000)
