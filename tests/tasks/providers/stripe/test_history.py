"""Stripe's list of events as the history reads it: whole, from the oldest slice to the newest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tasks.providers.calls import CallRefused, KeyRefused, ProviderThrottled, ProviderUnreachable
from tasks.providers.stripe import Stripe, history
from tasks.providers.stripe.history import EVENTS_MAX, SLICE_S, StripeHistory
from tasks.providers.stripe.interpret import EVENT_TYPES
from tests.tasks.providers.stripe.events import interpret
from workers.mock_providers.stripe import KEY, StripeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.backfills import KnownOrder
    from tasks.providers.history import Page

CHARGE = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def listing(stripe: StripeServer) -> AsyncIterator[StripeHistory]:
    """The history of the account."""
    listing = StripeHistory("stripe", key=KEY, base=stripe.base)
    # The pace is the client's, and has its own tests.
    listing._api._http._interval_s = 0
    yield listing
    await listing.close()


async def no_orders(_after: KnownOrder | None, _limit: int) -> list[KnownOrder]:
    return []


def now(stripe: StripeServer) -> datetime:
    return datetime.fromtimestamp(stripe.now_s, UTC)


def tell(stripe: StripeServer, events: int, *, hours: float = 0) -> None:
    """Tell so many events, evenly over so many hours."""
    for _ in range(events):
        stripe.wait(hours=hours / events)
        stripe.tell("charge.succeeded", CHARGE)


async def read(
    listing: StripeHistory,
    stripe: StripeServer,
    since: datetime,
    *,
    until: datetime | None = None,
    cursor: str | None = None,
) -> list[Page]:
    until = until or now(stripe)
    return [page async for page in listing.pages(since, until, cursor, orders=no_orders)]


def ids(pages: list[Page]) -> list[str]:
    return [event.arrival.provider_event_id for page in pages for event in page.events]


async def test_every_event_of_the_time_is_listed_once(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    stripe.tell("charge.succeeded", CHARGE)
    stripe.wait(hours=1)
    since = now(stripe)
    tell(stripe, 250, hours=20)
    pages = await read(listing, stripe, since)
    assert sorted(ids(pages)) == sorted(event["id"] for event in stripe.events[1:])
    assert pages[-1].reaches == now(stripe)


async def test_many_events_of_one_second_are_all_listed(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    since = now(stripe)
    tell(stripe, 2 * EVENTS_MAX + 1)
    stripe.wait(hours=1)
    assert len(set(ids(await read(listing, stripe, since)))) == 2 * EVENTS_MAX + 1


async def test_a_page_reaches_no_further_than_what_was_read(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    since = now(stripe)
    tell(stripe, 350, hours=15)
    pages = await read(listing, stripe, since)
    seen: set[str] = set()
    for page in pages:
        seen |= set(ids([page]))
        made_before = {
            event["id"] for event in stripe.events if event["created"] < page.reaches.timestamp()
        }
        assert made_before <= seen
    slices = 1 + int(15 * 3_600 / SLICE_S)
    assert len({page.reaches for page in pages}) >= slices


async def test_it_goes_on_after_any_page(listing: StripeHistory, stripe: StripeServer) -> None:
    since = now(stripe)
    tell(stripe, 230, hours=8)
    until = now(stripe)
    pages = await read(listing, stripe, since)
    for done, page in enumerate(pages[:-1], start=1):
        # Newer events, told meanwhile, do not shift the pages.
        tell(stripe, 1, hours=0.1)
        rest = await read(listing, stripe, since, until=until, cursor=page.cursor)
        assert ids(rest) == ids(pages[done:])


async def test_an_event_is_kept_as_stripe_wrote_it_with_its_time(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    since = now(stripe)
    stripe.tell("refund.updated", {"id": "re_1", "note": "é \\u0041 1e3"})
    stripe.wait(hours=1)
    (page,) = await read(listing, stripe, since)
    ((arrival, made_at),) = page.events
    assert json.loads(arrival.payload) == stripe.events[0]
    assert "é".encode() in arrival.payload
    assert (arrival.provider, arrival.event_type) == ("stripe", "refund.updated")
    assert (arrival.state, made_at) == ("pending", since)


async def test_other_types_are_not_asked_for(listing: StripeHistory, stripe: StripeServer) -> None:
    since = now(stripe)
    for event_type in (*EVENT_TYPES, "customer.created", "invoice.paid"):
        stripe.tell(event_type, CHARGE)
    stripe.wait(hours=1)
    pages = await read(listing, stripe, since)
    assert sorted(event.arrival.event_type for page in pages for event in page.events) == sorted(
        EVENT_TYPES
    )


async def test_more_types_than_a_list_takes_are_asked_for_one_list_after_the_other(
    listing: StripeHistory, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "TYPES", (EVENT_TYPES[:3], EVENT_TYPES[3:]))
    since = now(stripe)
    for event_type in EVENT_TYPES:
        stripe.tell(event_type, CHARGE)
    stripe.wait(hours=7)
    pages = await read(listing, stripe, since)
    assert len(ids(pages)) == len(set(ids(pages))) == len(EVENT_TYPES)
    assert pages[0].reaches == since
    assert ids(await read(listing, stripe, since, cursor=pages[0].cursor)) == ids(pages[1:])


def test_each_type_that_is_listed_means_something() -> None:
    for event_type in EVENT_TYPES:
        event = {"id": "evt_1", "type": event_type, "data": {"object": CHARGE}}
        assert getattr(interpret(event), "reason", None) != "unknown_type"


async def test_an_event_of_an_old_version_is_listed_and_means_the_same(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    since = now(stripe)
    intent = {
        "id": "pi_1",
        "status": "succeeded",
        "currency": "usd",
        "amount_received": 100,
        "metadata": {"profile_id": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "sku": "coins_100"},
    }
    charges = {"object": "list", "data": [{"id": "ch_1", "object": "charge"}]}
    stripe.tell("payment_intent.succeeded", intent | {"latest_charge": "ch_1"})
    stripe.tell("payment_intent.succeeded", intent | {"charges": charges}, api_version="2020-08-27")
    stripe.wait(hours=1)
    (page,) = await read(listing, stripe, since)
    facts = [interpret(event.arrival.payload) for event in page.events]
    assert facts[0] == facts[1]


async def test_a_clock_of_ours_that_is_ahead_reaches_no_further_than_stripes(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    since = now(stripe)
    tell(stripe, 2, hours=1)
    pages = await read(listing, stripe, since, until=now(stripe) + timedelta(days=3_650))
    assert pages[-1].reaches == now(stripe)
    assert len(stripe.requests) == 1
    ahead = now(stripe) + timedelta(days=1)
    (page,) = await read(listing, stripe, ahead, until=ahead)
    assert page.reaches == now(stripe)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("throttled", ProviderThrottled),
        ("unauthorized", KeyRefused),
        ("unavailable", ProviderUnreachable),
        ("empty", ProviderUnreachable),
        ("malformed", ProviderUnreachable),
    ],
)
async def test_a_failure_has_its_class_and_no_word_of_the_answer(
    listing: StripeHistory, stripe: StripeServer, fault: str, error: type[Exception]
) -> None:
    stripe.faults = [fault]  # type: ignore[list-item]
    with pytest.raises(error) as raised:
        await read(listing, stripe, now(stripe))
    assert "Jane" not in str(raised.value)


@pytest.mark.parametrize("cursor", ["", "17", "soon 0 ", "17 99 ", "17 0 evt_gone"])
async def test_a_cursor_of_no_use_is_refused(
    listing: StripeHistory, stripe: StripeServer, cursor: str
) -> None:
    tell(stripe, 1)
    if cursor:
        with pytest.raises(CallRefused):
            await read(listing, stripe, now(stripe) - HOUR, cursor=cursor)
    else:
        assert len(await read(listing, stripe, now(stripe) - HOUR, cursor=cursor)) == 1


async def test_events_too_large_for_one_answer_are_asked_for_in_fewer(
    listing: StripeHistory, stripe: StripeServer
) -> None:
    since = now(stripe)
    for _ in range(5):
        stripe.tell("charge.succeeded", CHARGE | {"description": "x" * 1_000})
    stripe.wait(hours=1)
    listing._api._http._answer_bytes_max = 3_000
    assert len(set(ids(await read(listing, stripe, since)))) == 5
    listing._api._http._answer_bytes_max = 1_000
    with pytest.raises(ProviderUnreachable):
        await read(listing, stripe, since)


def test_without_a_key_there_is_no_history() -> None:
    assert Stripe().history() is None
