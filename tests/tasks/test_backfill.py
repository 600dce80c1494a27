"""Missed events, as a worker finds them in Stripe's list."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from db.inbox.arrivals import store_arrivals
from tasks import backfill
from tasks.backfill import find_missed_events
from tasks.payment_events import process_payment_events
from tasks.providers.stripe import Stripe
from tests.conditions import eventually
from tests.db.books import COINS, PRICE_LIST, PRICE_MINOR, SKU, Books
from tests.db.inbox.arrivals import arrival
from tests.tasks.contexts import make_context
from workers.mock_providers.stripe import KEY, StripeServer, stripe_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from tasks.context import Context

CHARGE = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    """Stripe's API at the time of this machine, as the database has it."""
    async with stripe_server() as stripe:
        stripe.now_s = datetime.now(UTC).timestamp()
        yield stripe


@pytest_asyncio.fixture
async def context(worker_pool: Pool, stripe: StripeServer) -> AsyncIterator[Context]:
    """What a worker with a key has."""
    provider = make_provider(stripe)
    yield make_context(worker_pool, providers={"stripe": provider})
    await provider.close()


def make_provider(stripe: StripeServer) -> Stripe:
    provider = Stripe(api_key=KEY, api_base=stripe.base)
    assert provider._history
    provider._history._api._http._interval_s = 0
    return provider


async def is_read_until(db: Connection, **ago: float) -> None:
    """Stripe's list was read until so long ago."""
    await db.execute(
        "insert into fleet.backfills"
        " (provider, is_scheduled, from_at, to_at, reached_at, worker, started_at, finished_at,"
        " begins_at)"
        " values ('stripe', true, $1, $1, $1, 'test', $1, $1, '-infinity')",
        datetime.now(UTC) - timedelta(**ago),
    )


def tell(stripe: StripeServer, events: int, **ago: float) -> None:
    """Stripe made so many events so long ago."""
    now_s = stripe.now_s
    stripe.now_s -= timedelta(**ago).total_seconds()
    for _ in range(events):
        stripe.tell("charge.succeeded", CHARGE)
    stripe.now_s = now_s


async def reading(db: Connection) -> dict[str, Any]:
    row = await db.fetchrow("select * from fleet.backfills where is_scheduled")
    assert row is not None
    return dict(row)


async def stored(db: Connection) -> list[str]:
    rows = await db.fetch("select provider_event_id as id from fleet.inbox_events")
    return sorted(row["id"] for row in rows)


def told(stripe: StripeServer) -> list[str]:
    return sorted(event["id"] for event in stripe.events)


@pytest.mark.requirement("C11")
async def test_an_event_whose_webhook_is_lost_is_stored_as_it_is_listed(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, minutes=30)
    tell(stripe, 1, minutes=40)
    with capture_logs() as logs:
        assert await find_missed_events(context) == 1
        assert await find_missed_events(context) == 0
    event = await db.fetchrow("select * from fleet.inbox_events")
    assert event is not None
    assert (event["state"], json.loads(event["payload"])) == ("pending", stripe.events[0])
    lines = [line for line in logs if line["event"] == "missed_events_found"]
    assert [(line["missed"], line["among"]) for line in lines] == [(1, ["charge.succeeded"])]
    row = await reading(db)
    assert (row["found"], row["missed"], row["seen"]) == (1, 1, 1)


async def test_a_payment_whose_webhook_is_lost_is_credited_once(
    context: Context, stripe: StripeServer, db: Connection, web_pool: Pool
) -> None:
    await db.execute(PRICE_LIST)
    books = Books(db)
    buyer = await books.profile()
    intent = {
        "id": "pi_1",
        "status": "succeeded",
        "currency": "usd",
        "amount_received": PRICE_MINOR,
        "latest_charge": "ch_1",
        "metadata": {"profile_id": str(buyer), "sku": SKU},
    }
    await is_read_until(db, minutes=30)
    stripe.wait(hours=-1)
    stripe.tell("payment_intent.succeeded", intent)
    stripe.wait(hours=1)
    for _ in range(2):
        await find_missed_events(context)
        await process_payment_events(context)
        assert await books.coins(buyer) == COINS
        # Its webhook comes after all.
        await store_arrivals(web_pool, [arrival(stripe.events[0]["id"])])
    assert await books.breaches() == {}


async def test_an_event_that_a_webhook_brought_is_left_alone(
    context: Context, stripe: StripeServer, db: Connection, web_pool: Pool
) -> None:
    await is_read_until(db, minutes=30)
    tell(stripe, 1, minutes=40)
    await store_arrivals(web_pool, [arrival(stripe.events[0]["id"], b"as it was sent")])
    assert await find_missed_events(context) == 0
    assert await db.fetchval("select payload from fleet.inbox_events") == b"as it was sent"


async def test_an_event_of_less_than_15_minutes_is_left_to_its_webhook(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, minutes=30)
    tell(stripe, 1, minutes=14)
    assert await find_missed_events(context) == 0
    # Two minutes later its webhook is lost.
    stripe.events[0]["created"] -= 120
    with capture_logs() as logs:
        assert await find_missed_events(context) == 1
    assert (await reading(db))["missed"] == 1
    assert [line["event"] for line in logs] == ["missed_events_found"]


async def test_after_an_outage_it_goes_on_where_it_was(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, hours=20)
    tell(stripe, 150, hours=18)
    tell(stripe, 150, hours=3)
    # The first page of a slice is stored, the second is not.
    stripe.faults = ["none", "unavailable"]
    assert await find_missed_events(context) == 100
    row = await reading(db)
    assert (row["last_error"], row["finished_at"]) == ("503 api_error", None)
    assert row["reached_at"] < datetime.now(UTC) - timedelta(hours=19)
    before = len(stripe.requests)
    assert await find_missed_events(context) == 200
    assert await stored(db) == told(stripe)
    row = await reading(db)
    assert (row["last_error"], row["found"], row["seen"]) == (None, 300, 0)
    assert row["reached_at"] > datetime.now(UTC) - timedelta(minutes=16)
    # What was stored before the outage was not asked for again: 1 and 2 pages, and empty slices.
    assert len(stripe.requests) - before <= 6


async def test_a_provider_that_is_throttled_or_unreachable_is_left_alone(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, minutes=30)
    stripe.faults = ["throttled"]
    with capture_logs() as logs:
        assert await find_missed_events(context) == 0
        # The breaker rests for what the provider asked for.
        assert await find_missed_events(context) == 0
    assert len(stripe.requests) == 1
    lines = [line for line in logs if line["event"] == "history_not_read"]
    assert [(line["log_level"], line["error"]) for line in lines] == [("warning", "429 api_error")]
    assert "Jane" not in str(logs)


async def test_a_key_that_is_refused_is_an_error(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, minutes=30)
    stripe.faults = ["unauthorized"]
    with capture_logs() as logs:
        await find_missed_events(context)
    assert {line["event"]: line["log_level"] for line in logs} == {
        "provider_refuses_key": "warning",
        "history_not_read": "error",
    }


async def test_a_failure_of_a_day_is_an_error(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, days=2)
    await db.execute("update fleet.backfills set failing_since = now() - interval '25 hours'")
    stripe.faults = ["unavailable"]
    with capture_logs() as logs:
        await find_missed_events(context)
    assert [line["log_level"] for line in logs] == ["error"]


async def test_a_cursor_that_stripe_forgot_is_not_used_again(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, minutes=30)
    await db.execute(
        "update fleet.backfills set finished_at = null, cursor = '1 0 evt_gone',"
        " from_at = now() - interval '1 hour', to_at = now()"
    )
    tell(stripe, 1, minutes=40)
    assert await find_missed_events(context) == 0
    assert await find_missed_events(context) == 1


async def test_a_worker_that_is_killed_between_two_pages_loses_none(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, hours=20)
    tell(stripe, 250, hours=18)
    stripe.faults = ["none", "lost"]
    killed = asyncio.create_task(find_missed_events(context))

    async def is_asked_twice() -> bool:
        return len(stripe.requests) == 2

    await eventually(is_asked_twice)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    assert len(await stored(db)) == 100
    assert await find_missed_events(context) == 150
    assert await stored(db) == told(stripe)
    assert (await reading(db))["seen"] == 0


async def test_two_workers_at_once_store_each_event_once(
    context: Context, worker_pool: Pool, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, hours=20)
    tell(stripe, 250, hours=18)
    tell(stripe, 250, hours=4)
    provider = make_provider(stripe)
    other = make_context(worker_pool, providers={"stripe": provider}, worker="other")
    await asyncio.gather(find_missed_events(context), find_missed_events(other))
    await find_missed_events(context)
    assert await stored(db) == told(stripe)
    row = await reading(db)
    assert row["found"] == len(told(stripe))
    await provider.close()


async def test_a_run_that_takes_too_long_is_ended_and_the_next_goes_on(
    context: Context, stripe: StripeServer, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await is_read_until(db, hours=5)
    tell(stripe, 150, hours=3)
    monkeypatch.setattr(backfill, "RUN_S", 0.0)
    assert await find_missed_events(context) == 100
    assert await find_missed_events(context) == 50


async def test_a_worker_that_stops_begins_no_other_page(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, hours=5)
    tell(stripe, 150, hours=3)
    context.stopping.set()
    assert await find_missed_events(context) == 100


async def test_what_no_receiver_would_take_does_not_stop_the_others(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, minutes=30)
    tell(stripe, 1, minutes=40)
    stripe.events[0]["data"]["object"]["description"] = "x" * 262_144
    tell(stripe, 1, minutes=40)
    with capture_logs() as logs:
        assert await find_missed_events(context) == 1
    lines = [line for line in logs if line["event"] == "found_event_too_large"]
    assert [line["id"] for line in lines] == [stripe.events[0]["id"]]


# Thirty days are read in slices of six hours, at 20 requests per second.
@pytest.mark.long
async def test_what_is_lost_for_good_is_an_error(
    context: Context, stripe: StripeServer, db: Connection
) -> None:
    await is_read_until(db, days=40)
    with capture_logs() as logs:
        await find_missed_events(context)
    assert [(line["event"], line["log_level"]) for line in logs] == [("history_is_lost", "error")]


async def test_a_provider_without_a_key_is_not_asked(worker_pool: Pool, db: Connection) -> None:
    assert await find_missed_events(make_context(worker_pool)) == 0
    assert await db.fetchval("select count(*) from fleet.backfills") == 0
