"""What `coinfleet doctor` finds in Stripe's account."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tasks.findings import Finding, Verdict
from tasks.providers.stripe import Stripe
from tasks.providers.stripe.interpret import EVENT_TYPES
from tests.provoking import case, noted
from workers.mock_providers.serving import serving
from workers.mock_providers.stripe import ACCOUNT, API_VERSION, KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workers.mock_providers.stripe import StripeServer

BROKEN, ATTENTION, OK = Verdict.BROKEN, Verdict.ATTENTION, Verdict.OK
NOT_CHECKED = Verdict.NOT_CHECKED


@asynccontextmanager
async def web(status: int = 405) -> AsyncIterator[str]:
    """Our `web`, as whoever asks it by GET meets it, or another server."""
    headers = {"location": "/elsewhere"}
    app = Starlette(routes=[Route("/{path:path}", lambda _: Response(b"", status, headers))])
    async with serving(app) as base:
        yield base


@pytest_asyncio.fixture(scope="module")
async def origin() -> AsyncIterator[str]:
    """The address at which providers reach `web`."""
    async with web() as base:
        yield base


async def ask(
    stripe: StripeServer, name: str, *, web_origin: str | None = None, **settings: Any
) -> list[Finding]:
    """Run one check."""
    given = {"api_key": KEY, "api_base": stripe.base} | settings
    rows = {row.name: row for row in Stripe(**given).checks(web_origin=web_origin)}
    found = await rows[f"stripe {name}"].ask()
    assert all(
        each.fix and each.code for each in noted(found) if each.verdict in (BROKEN, ATTENTION)
    )
    # The mock's errors name a buyer, as Stripe's do.
    assert not any("Jane" in f"{each.what}{each.fix}" or KEY in each.what for each in found)
    return found


def told(findings: list[Finding]) -> list[tuple[Verdict, str]]:
    return [(each.verdict, each.what) for each in findings]


async def test_without_a_key_nothing_is_asked(stripe: StripeServer) -> None:
    for name in ("key", "endpoint", "undelivered"):
        assert told(await ask(stripe, name, api_key=None)) == [
            (NOT_CHECKED, "no key: STRIPE_API_KEY is not set here")
        ]
    assert stripe.requests == []


async def test_an_account_that_fits_is_well(stripe: StripeServer, origin: str) -> None:
    stripe.now_s = time.time()
    stripe.add_endpoint(f"{origin}/webhooks/stripe")
    for name in ("key", "endpoint", "undelivered"):
        assert {each.verdict for each in await ask(stripe, name, web_origin=origin)} == {OK}


@pytest.mark.provokes("key_refused")
async def test_a_key_that_is_not_taken_is_found_by_each_check(stripe: StripeServer) -> None:
    for name in ("key", "endpoint", "undelivered"):
        (finding,) = await ask(stripe, name, api_key="rk_test_of_somebody_else")
        assert finding.verdict is BROKEN
        assert finding.what.startswith("Stripe does not take our key (401 ")


@pytest.mark.long_but_first
@pytest.mark.parametrize("fault", ["unavailable", "throttled", "malformed", "proxied"])
async def test_a_stripe_that_is_away_is_not_checked(stripe: StripeServer, fault: Any) -> None:
    stripe.faults = [fault]
    assert {each.verdict for each in await ask(stripe, "endpoint")} == {NOT_CHECKED}


@pytest.mark.provokes("stripe_account_unread")
async def test_a_key_that_lacks_a_right_says_which(stripe: StripeServer) -> None:
    for name, verdict in (("key", ATTENTION), ("endpoint", NOT_CHECKED)):
        stripe.faults = ["forbidden"]
        (finding,) = await ask(stripe, name)
        assert finding.verdict is verdict
        assert "right" in finding.fix


@pytest.mark.provokes("stripe_account_foreign")
async def test_a_key_of_another_account_is_found(stripe: StripeServer) -> None:
    stripe.now_s = time.time()
    assert {each.verdict for each in await ask(stripe, "key", accounts=[ACCOUNT])} == {OK}
    found = await ask(stripe, "key", accounts=["acct_ours"])
    assert [each.what for each in found if each.verdict is BROKEN] == [
        f"STRIPE_API_KEY is a key of {ACCOUNT}, which STRIPE_ACCOUNTS does not list"
    ]


@pytest.mark.provokes("clock_off")
async def test_a_clock_that_differs_from_stripes_is_found(stripe: StripeServer) -> None:
    stripe.now_s = time.time() + 300
    found = told(await ask(stripe, "key"))
    (what,) = [what for verdict, what in found if verdict is BROKEN]
    assert what.endswith("behind Stripe's")


@pytest.mark.provokes("stripe_endpoint_missing")
async def test_no_endpoint_at_our_address_is_found(stripe: StripeServer, origin: str) -> None:
    stripe.add_endpoint("https://old.example.com/webhooks/stripe")
    ((verdict, what),) = told(await ask(stripe, "endpoint", web_origin=origin))
    assert (verdict, what) == (
        BROKEN,
        f"Stripe has no endpoint at {origin}/webhooks/stripe: it tells us of no payment",
    )


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("others", "verdict", "said"),
    [
        case(
            "stripe_endpoint_disabled",
            *({"status": "disabled"}, BROKEN, "is disabled: it is sent nothing"),
        ),
        case(
            "stripe_endpoint_mode",
            {"livemode": True},
            BROKEN,
            "is of live mode, and STRIPE_LIVEMODE says the other",
        ),
        case(
            "stripe_events_lacking",
            {"enabled_events": [each for each in EVENT_TYPES if each != "charge.refunded"]},
            ATTENTION,
            "is not sent charge.refunded",
        ),
        case(
            "stripe_version_newer",
            {"api_version": "2027-01-01.fig"},
            ATTENTION,
            "has the API version 2027-01-01.fig, newer",
        ),
        ({"api_version": "2020-08-27"}, OK, "one endpoint, enabled"),
        ({"api_version": None}, OK, "one endpoint, enabled"),
        ({"api_version": API_VERSION}, OK, "one endpoint, enabled"),
    ],
)
async def test_an_endpoint_that_does_not_fit_is_found(
    stripe: StripeServer, origin: str, others: dict[str, Any], verdict: Verdict, said: str
) -> None:
    stripe.add_endpoint(f"{origin}/webhooks/stripe", **others)
    ((how, what),) = told(await ask(stripe, "endpoint", web_origin=origin))
    assert (how, said in what) == (verdict, True), what


@pytest.mark.provokes("stripe_endpoint_twice")
async def test_two_endpoints_at_one_address_are_found(stripe: StripeServer, origin: str) -> None:
    for _ in range(2):
        stripe.add_endpoint(f"{origin}/webhooks/stripe")
    ((verdict, what),) = told(await ask(stripe, "endpoint", web_origin=origin))
    assert (verdict, what.startswith("2 endpoints send to")) == (ATTENTION, True)


@pytest.mark.long
async def test_the_endpoint_is_looked_for_on_all_pages(stripe: StripeServer, origin: str) -> None:
    stripe.add_endpoint(f"{origin}/webhooks/stripe")
    for number in range(120):
        stripe.add_endpoint(f"https://{number}.example.com/x")
    assert {each.verdict for each in await ask(stripe, "endpoint", web_origin=origin)} == {OK}


@pytest.mark.provokes("address_redirects")
async def test_an_address_that_redirects_is_found(stripe: StripeServer) -> None:
    async with web(301) as moved:
        stripe.add_endpoint(f"{moved}/webhooks/stripe")
        ((verdict, what),) = told(await ask(stripe, "endpoint", web_origin=moved))
    assert (verdict, "answers 301: a redirect" in what) == (BROKEN, True)


@pytest.mark.provokes("address_unsafe")
async def test_an_endpoint_without_tls_is_found(stripe: StripeServer) -> None:
    stripe.add_endpoint("http://pay.example.com/webhooks/stripe")
    verdict, what = told(await ask(stripe, "endpoint"))[0]
    assert (verdict, what.startswith("http://pay.example.com")) == (BROKEN, True), what


async def test_without_our_address_endpoints_are_known_by_their_path(
    stripe: StripeServer, origin: str
) -> None:
    stripe.add_endpoint("https://other.example.com/hooks", status="disabled")
    stripe.add_endpoint(f"{origin}/webhooks/stripe")
    ((verdict, what),) = told(await ask(stripe, "endpoint"))
    assert (verdict, what) == (
        NOT_CHECKED,
        f"whether {origin}/webhooks/stripe is this fleet: WEB_ORIGIN is not set",
    )


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("status", "verdict"),
    [("enabled", OK), case("stripe_destination_disabled", "disabled", BROKEN)],
)
async def test_a_destination_of_thin_events_counts_as_an_endpoint(
    stripe: StripeServer, origin: str, status: str, verdict: Verdict
) -> None:
    target = {"url": f"{origin}/webhooks/stripe", "signing_secret": None}
    destination = {"id": "ed_1", "status": status, "webhook_endpoint": target}
    stripe.destinations = [{"id": "ed_2", "status": "enabled"}, destination]
    ((how, what),) = told(await ask(stripe, "endpoint", web_origin=origin))
    assert (how, "event destination ed_1" in what) == (verdict, True)


@pytest.mark.provokes("stripe_undelivered")
async def test_events_that_were_not_delivered_are_found(stripe: StripeServer) -> None:
    stripe.now_s = time.time() - 2 * 3_600
    for event_type in ("charge.refunded", "customer.created", "charge.refunded"):
        stripe.tell(event_type, {"id": "ch_1"})
    stripe.now_s = time.time() - 60
    stripe.tell("charge.refunded", {"id": "ch_2"})
    assert told(await ask(stripe, "undelivered"))[0][0] is OK
    stripe.undelivered = {event["id"] for event in stripe.events[1:]}
    (finding,) = await ask(stripe, "undelivered")
    assert finding.verdict is ATTENTION
    # Not what means nothing to us, and not what is still being tried.
    assert finding.what.startswith("not taken by some endpoint: 1 of our events")
    assert stripe.events[2]["id"] in finding.what
    assert "coinfleet backfill stripe --since 20" in finding.fix
