"""Whether Stripe sends our events to this fleet: the endpoints at our address."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec

from tasks.findings import Finding, attention, broken, not_checked, ok
from tasks.providers.calls import ProviderUnreachable
from tasks.providers.examination import probe_address
from tasks.providers.reading import UNREADABLE_ERRORS
from tasks.providers.stripe.api import API_VERSION, KeyLacksRight, StripeApi, StripeRefused
from tasks.providers.stripe.interpret import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

PAGE = 100
PAGES_MAX = 3
PROBED_MAX = 3
ALL_EVENTS = "*"


class Endpoint(msgspec.Struct):
    """The fields of a webhook endpoint that we read."""

    id: str
    url: str
    status: str = ""
    livemode: bool = False
    api_version: str | None = None
    enabled_events: list[str] = msgspec.field(default_factory=list)


class Endpoints(msgspec.Struct):
    """A page of the list."""

    data: list[Endpoint]
    has_more: bool = False


class Target(msgspec.Struct):
    """Where a destination sends."""

    url: str | None = None


class Destination(msgspec.Struct):
    """An event destination: an endpoint of the newer API, which sends thin events."""

    id: str
    status: str = ""
    webhook_endpoint: Target | None = None


class Destinations(msgspec.Struct):
    """A page of the list."""

    data: list[Destination]


_ENDPOINTS = msgspec.json.Decoder(Endpoints)
_DESTINATIONS = msgspec.json.Decoder(Destinations)


class EndpointCheck:
    """`path` is that of our webhooks; `web_origin` is where `web` is, None if nobody has said."""

    def __init__(self, *, livemode: bool, path: str, web_origin: str | None) -> None:
        self._livemode = livemode
        self._path = path
        self._url = f"{web_origin}{path}" if web_origin else None

    async def check(self, api: StripeApi) -> list[Finding]:
        """Say what is wrong with the endpoints that lead here."""
        ours = [each async for each in _endpoints(api) if self._leads_here(each.url)]
        if not ours and (thin := await self._destinations(api)):
            return thin
        if not ours:
            at = self._url or f"an address that ends in {self._path}"
            return [
                broken(
                    "stripe_endpoint_missing",
                    f"Stripe has no endpoint at {at}: it tells us of no payment",
                    fix="add one in the dashboard (Developers, Webhooks) with the events of"
                    " docs/providers.md",
                )
            ]
        found = [finding for each in ours for finding in self._judge(each)]
        found += _twice(ours)
        for url in sorted({each.url for each in ours})[:PROBED_MAX]:
            if (fault := await probe_address(url)) is not None:
                found.append(fault)
        if self._url is None:
            urls = ", ".join(sorted({each.url for each in ours}))
            found.append(
                not_checked(
                    f"whether {urls} is this fleet: WEB_ORIGIN is not set",
                    fix="set WEB_ORIGIN to the address at which providers reach `web`",
                )
            )
        return found or [ok(f"one endpoint, enabled, with all our events: {ours[0].url}")]

    async def _destinations(self, api: StripeApi) -> list[Finding]:
        """Say what is known of destinations of the newer API that lead here; nothing if none do."""
        query = urlencode({"limit": PAGE, "include[0]": "webhook_endpoint.url"})
        try:
            answer = await api.get(f"/v2/core/event_destinations?{query}")
            page = _DESTINATIONS.decode(answer.body)
        except (KeyLacksRight, StripeRefused, *UNREADABLE_ERRORS):
            return []
        ours = [
            (each, each.webhook_endpoint.url)
            for each in page.data
            if each.webhook_endpoint
            and each.webhook_endpoint.url
            and self._leads_here(each.webhook_endpoint.url)
        ]
        return [
            ok(f"the event destination {each.id} sends thin events to {url}")
            if each.status == "enabled"
            else broken(
                "stripe_destination_disabled",
                f"the event destination {each.id} is {each.status}: it is sent nothing",
                fix="enable it in the dashboard, then `coinfleet backfill stripe --since …`",
            )
            for each, url in ours
        ]

    def _leads_here(self, url: str) -> bool:
        if self._url is not None:
            return url.rstrip("/") == self._url
        return urlsplit(url).path.rstrip("/") == self._path

    def _judge(self, endpoint: Endpoint) -> Iterator[Finding]:
        name = f"the endpoint {endpoint.id}"
        if endpoint.status != "enabled":
            yield broken(
                "stripe_endpoint_disabled",
                f"{name} is {endpoint.status}: it is sent nothing",
                fix="enable it in the dashboard, then `coinfleet backfill stripe --since …`",
            )
        if endpoint.livemode != self._livemode:
            mode = "live" if endpoint.livemode else "test"
            yield broken(
                "stripe_endpoint_mode",
                f"{name} is of {mode} mode, and STRIPE_LIVEMODE says the other",
                fix="make the endpoint in the mode of STRIPE_LIVEMODE, or correct that",
            )
        wanted = set() if ALL_EVENTS in endpoint.enabled_events else set(EVENT_TYPES)
        if lacking := sorted(wanted - set(endpoint.enabled_events)):
            yield attention(
                "stripe_events_lacking",
                f"{name} is not sent {', '.join(lacking)}",
                fix="add them to the endpoint's events; docs/providers.md lists all",
            )
        # Events of any older version are read; `2026-10-28.endive` begins with its date.
        if (endpoint.api_version or "")[:10] > API_VERSION[:10]:
            yield attention(
                "stripe_version_newer",
                f"{name} has the API version {endpoint.api_version}, newer than {API_VERSION},"
                " which was tested",
                fix=f"make an endpoint of version {API_VERSION}, or update coinfleet",
            )


async def _endpoints(api: StripeApi) -> AsyncIterator[Endpoint]:
    after = ""
    for _ in range(PAGES_MAX):
        query = {"limit": str(PAGE)} | ({"starting_after": after} if after else {})
        answer = await api.get(f"/v1/webhook_endpoints?{urlencode(query)}")
        try:
            page = _ENDPOINTS.decode(answer.body)
        except UNREADABLE_ERRORS:
            raise ProviderUnreachable("200 and an unreadable list") from None
        for each in page.data:
            yield each
        if not page.has_more or not page.data:
            return
        after = page.data[-1].id


def _twice(endpoints: Sequence[Endpoint]) -> Iterator[Finding]:
    counts = Counter(each.url.rstrip("/") for each in endpoints if each.status == "enabled")
    for url, number in counts.items():
        if number > 1:
            yield attention(
                "stripe_endpoint_twice",
                f"{number} endpoints send to {url}: each event comes {number} times, and each"
                " endpoint has a secret of its own",
                fix="remove all but the one whose secret STRIPE_WEBHOOK_SECRETS holds",
            )
