"""Whether Stripe's account fits the fleet: the key, the endpoint, and what was not delivered."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec

from tasks.findings import Finding, attention, broken, judge_clock, not_checked, ok
from tasks.providers.calls import AccountNotOurs, CallFailed, ProviderUnreachable
from tasks.providers.examination import (
    ProviderCheck,
    judge_failure,
    probe_webhook_address,
    without,
)
from tasks.providers.reading import UNREADABLE_ERRORS, moment
from tasks.providers.stripe.api import API_VERSION, KeyLacksRight, StripeApi, StripeRefused
from tasks.providers.stripe.calls import ACCOUNT_PATH, AccountCheck
from tasks.providers.stripe.interpret import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence

    from tasks.findings import Ask

SETTING = "STRIPE_API_KEY"
PATH = "/webhooks/stripe"
PAGE = 100
PAGES_MAX = 3
PROBED_MAX = 3
ALL_EVENTS = "*"
# Stripe sends again for three days, and lists events for thirty.
UNDELIVERED_FOR = timedelta(days=30)
# A webhook that fails is sent again within minutes.
SETTLED_AFTER = timedelta(hours=1)


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


class Undelivered(msgspec.Struct):
    """An event that some endpoint has not taken."""

    id: str
    type: str
    created: int = 0


class UndeliveredList(msgspec.Struct):
    """A page of the list."""

    data: list[Undelivered]
    has_more: bool = False


_ENDPOINTS = msgspec.json.Decoder(Endpoints)
_DESTINATIONS = msgspec.json.Decoder(Destinations)
_UNDELIVERED = msgspec.json.Decoder(UndeliveredList)


class StripeChecks:
    """The rows for Stripe. `web_origin` is where `web` is reached, None if nobody has said."""

    def __init__(
        self,
        *,
        key: str | None,
        base: str,
        livemode: bool,
        accounts: Collection[str],
        web_origin: str | None,
    ) -> None:
        self._key, self._base = key, base
        self._livemode = livemode
        self._accounts = accounts
        self._url = f"{web_origin}{PATH}" if web_origin else None

    def rows(self) -> Sequence[ProviderCheck]:
        """Return the checks."""
        return (
            ProviderCheck(
                "stripe key",
                "is the key taken, whose is it, and is the clock right?",
                self._with_api(self.check_key),
            ),
            ProviderCheck(
                "stripe endpoint",
                "does Stripe send all our events, once, to this fleet?",
                self._with_api(self.check_endpoints),
            ),
            ProviderCheck(
                "stripe undelivered",
                "which events did Stripe not get delivered?",
                self._with_api(self.check_undelivered),
            ),
        )

    def _with_api(self, ask: Callable[[StripeApi], Awaitable[list[Finding]]]) -> Ask:
        if self._key is None:
            return without(SETTING)
        key = self._key

        async def asked() -> list[Finding]:
            api = StripeApi(key=key, base=self._base)
            try:
                return await ask(api)
            except KeyLacksRight as error:
                right = "Webhook Endpoints and Events: read"
                what = f"the key may not ask this ({error})"
                return [not_checked(what, fix=f"give the restricted key the rights {right}")]
            except CallFailed as error:
                return [judge_failure(error, provider="Stripe", setting=SETTING)]
            except StripeRefused as error:
                return [not_checked(f"Stripe refuses to say ({error})")]
            finally:
                await api.close()

        return asked

    async def check_key(self, api: StripeApi) -> list[Finding]:
        """Say whether the key is taken, whose it is, and how far Stripe's clock is from ours."""
        mode = "live" if self._livemode else "test"
        try:
            answer = await api.get(ACCOUNT_PATH)
        except KeyLacksRight as error:
            what = f"the key may not read its account ({error}), so it is trusted as it is"
            return [attention(what, fix="give it the right to read the account")]
        found = [ok(f"Stripe takes the key, of {mode} mode")]
        if answer.dated_at is not None:
            found.append(judge_clock(datetime.now(UTC), answer.dated_at, whose="Stripe's"))
        try:
            await AccountCheck(api, self._accounts).check()
        except AccountNotOurs as error:
            fix = "set the key of our account, or add this one to STRIPE_ACCOUNTS"
            found.append(broken(str(error), fix=fix))
        return found

    async def check_endpoints(self, api: StripeApi) -> list[Finding]:
        """Say what is wrong with the endpoints that lead here."""
        ours = [each async for each in _endpoints(api) if self._leads_here(each.url)]
        if not ours and (thin := await self._destinations(api)):
            return thin
        if not ours:
            at = self._url or f"an address that ends in {PATH}"
            return [
                broken(
                    f"Stripe has no endpoint at {at}: it tells us of no payment",
                    fix="add one in the dashboard (Developers, Webhooks) with the events of"
                    " docs/providers.md",
                )
            ]
        found = [finding for each in ours for finding in self._judge(each)]
        found += _twice(ours)
        for url in sorted({each.url for each in ours})[:PROBED_MAX]:
            if (fault := await probe_webhook_address(url)) is not None:
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
                f"the event destination {each.id} is {each.status}: it is sent nothing",
                fix="enable it in the dashboard, then `coinfleet backfill stripe --since …`",
            )
            for each, url in ours
        ]

    def _leads_here(self, url: str) -> bool:
        if self._url is not None:
            return url.rstrip("/") == self._url
        return urlsplit(url).path.rstrip("/") == PATH

    def _judge(self, endpoint: Endpoint) -> Iterator[Finding]:
        name = f"the endpoint {endpoint.id}"
        if endpoint.status != "enabled":
            yield broken(
                f"{name} is {endpoint.status}: it is sent nothing",
                fix="enable it in the dashboard, then `coinfleet backfill stripe --since …`",
            )
        if endpoint.livemode != self._livemode:
            mode = "live" if endpoint.livemode else "test"
            yield broken(
                f"{name} is of {mode} mode, and STRIPE_LIVEMODE says the other",
                fix="make the endpoint in the mode of STRIPE_LIVEMODE, or correct that",
            )
        wanted = set() if ALL_EVENTS in endpoint.enabled_events else set(EVENT_TYPES)
        if lacking := sorted(wanted - set(endpoint.enabled_events)):
            yield attention(
                f"{name} is not sent {', '.join(lacking)}",
                fix="add them to the endpoint's events; docs/providers.md lists all",
            )
        # Events of any older version are read; `2026-10-28.endive` begins with its date.
        if (endpoint.api_version or "")[:10] > API_VERSION[:10]:
            yield attention(
                f"{name} has the API version {endpoint.api_version}, newer than {API_VERSION},"
                " which was tested",
                fix=f"make an endpoint of version {API_VERSION}, or update coinfleet",
            )

    async def check_undelivered(self, api: StripeApi) -> list[Finding]:
        """Say which of our events some endpoint did not take, and since when."""
        now = datetime.now(UTC)
        query: list[tuple[str, str | int]] = [
            ("limit", PAGE),
            ("delivery_success", "false"),
            ("created[gte]", int((now - UNDELIVERED_FOR).timestamp())),
            ("created[lt]", int((now - SETTLED_AFTER).timestamp())),
        ]
        answer = await api.get(f"/v1/events?{urlencode(query)}")
        try:
            page = _UNDELIVERED.decode(answer.body)
        except UNREADABLE_ERRORS:
            raise ProviderUnreachable("200 and an unreadable list") from None
        ours = [each for each in page.data if each.type in EVENT_TYPES]
        if not ours:
            return [ok("Stripe got each of our events of the last 30 days delivered")]
        # Stripe lists the newest first.
        at = moment(ours[-1].created)
        since = f"{at:%Y-%m-%d}" if at else "…"
        number = f"{'at least ' if page.has_more else ''}{len(ours)}"
        return [
            attention(
                f"{number} of our events were not taken by some endpoint, the oldest listed"
                f" ({ours[-1].id}) of {since}; Stripe forgets them after 30 days",
                fix=f"mend the endpoint, then `coinfleet backfill stripe --since {since}`",
            )
        ]


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
                f"{number} endpoints send to {url}: each event comes {number} times, and each"
                " endpoint has a secret of its own",
                fix="remove all but the one whose secret STRIPE_WEBHOOK_SECRETS holds",
            )
