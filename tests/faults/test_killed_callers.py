"""Workers that are killed while a provider is asked: what was done or stored counts once."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from tasks.providers.google import Google
from tests.conditions import eventually
from tests.db.books import PRICE_LIST, Books, breaches
from tests.db.books import Payment as Paid
from tests.faults.fleets import WORKER, kill
from workers.mock_providers.app import MockApp, make_app
from workers.mock_providers.apple.account import MockApple, account_key
from workers.mock_providers.apple.server import apple_server
from workers.mock_providers.apple_signer import BUNDLE_ID
from workers.mock_providers.google import Item, account_file, google_server
from workers.mock_providers.serving import serving
from workers.mock_providers.stripe import KEY, Payment, StripeServer, stripe_server
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.faults.fleets import Fleet
    from tests.workers.processes import Process
    from workers.mock_providers.google import GoogleServer, Sold

pytestmark = pytest.mark.faults

SECRET = "whsec_" + b64encode(b"a secret of the app, for a test").decode()

INTENT = "pi_1"
CHARGE = {"id": "ch_1", "object": "charge", "payment_intent": INTENT}
POST, LOOK = ("POST", "/v1/refunds"), ("GET", "/v1/refunds")


@pytest_asyncio.fixture
async def stripe() -> AsyncIterator[StripeServer]:
    """Stripe's API, with a payment of 10.00."""
    async with stripe_server() as stripe:
        stripe.payments[INTENT] = Payment(1_000)
        yield stripe


async def start(fleet: Fleet, stripe: StripeServer) -> Process:
    """Start a worker that has the key."""
    return await fleet.start(WORKER, STRIPE_API_KEY=KEY, STRIPE_API_BASE=stripe.base)


async def decide(db: Connection) -> None:
    """Write a decision and its call, as the rejection of a held event does."""
    event_id = await db.fetchval(
        "insert into fleet.inbox_events (provider, provider_event_id, event_type, payload,"
        " payload_sha256, state, reason) values ('stripe', 'evt_1', 'payment_intent.succeeded',"
        " '{}', sha256('{}'), 'held', 'unknown_buyer') returning id"
    )
    decision_id = await db.fetchval(
        "insert into fleet.decisions (event_id, verb, outcome, who, reason, hold_reason,"
        " decided_at) values ($1, 'reject', 'refund_requested', 'ann', 'nobody signed up',"
        " 'unknown_buyer', now()) returning id",
        event_id,
    )
    await db.execute(
        "insert into fleet.provider_calls (kind, key, request) values ('stripe.refund', $1, $2)",
        f"coinfleet:refund:{decision_id}",
        json.dumps({"payment_intent": INTENT, "decision_id": decision_id}),
    )


async def is_done(db: Connection) -> None:
    """Wait until the call is done."""
    await eventually(lambda: db.fetchval("select state = 'done' from fleet.provider_calls"))


async def test_a_refund_that_was_made_before_its_worker_was_killed_is_made_once(
    fleet: Fleet, stripe: StripeServer, db: Connection
) -> None:
    await decide(db)
    stripe.faults = ["lost"]
    killed = await start(fleet, stripe)

    async def is_made() -> bool:
        return bool(stripe.refunds)

    await eventually(is_made)
    await kill(killed)
    leased = await db.fetchval("select lease_until > now() from fleet.provider_calls")
    assert leased
    # Its lease is over.
    await db.execute("update fleet.provider_calls set next_attempt_at = now(), lease_until = now()")
    other = await start(fleet, stripe)
    await is_done(db)
    assert stripe.requests == [POST, LOOK]
    assert stripe.refunded(INTENT) == 1_000
    assert len(stripe.refunds) == 1
    assert await breaches(db) == {}
    assert KEY not in killed.text + other.text
    assert "payment_intent" not in killed.text + other.text


@pytest.mark.long
async def test_an_answer_that_apple_took_before_its_worker_was_killed_is_one(
    fleet: Fleet, db: Connection, tmp_path: Path
) -> None:
    settings = MockApple().settings("http://127.0.0.1:1", tmp_path)
    public = account_key().public_key()
    async with apple_server(public, apps=[BUNDLE_ID]) as apple:
        apple.transactions["1"] = "signed"
        apple.faults = ["lost"]
        await db.execute(
            "insert into fleet.provider_calls (kind, key, request) values"
            " ('apple.answer_consumption', 'coinfleet:consumption:1', $1)",
            json.dumps(
                {
                    "transaction_id": "1",
                    "bundle_id": BUNDLE_ID,
                    "environment": "Production",
                    "delivery_status": "DELIVERED",
                    "refund_preference": "DECLINE",
                    "deadline": time.time() + 3_600.5,
                }
            ),
        )
        told = {**settings, "APPLE_API_BASE": apple.base}
        killed = await fleet.start(WORKER, **told)

        async def is_taken() -> bool:
            return bool(apple.consumption)

        await eventually(is_taken)
        await kill(killed)
        await db.execute(
            "update fleet.provider_calls set next_attempt_at = now(), lease_until = now()"
        )
        other = await fleet.start(WORKER, **told)
        await is_done(db)
        assert apple.consumption["1"]["refundPreference"] == "DECLINE"
        puts = [path for method, path in apple.requests if method == "PUT"]
        assert puts == ["/inApps/v2/transactions/consumption/1"] * 2
    assert "eyJ" not in killed.text + other.text
    assert "PRIVATE KEY" not in killed.text + other.text


@pytest.mark.long
async def test_a_worker_makes_a_call_soon_after_it_was_decided(
    fleet: Fleet, stripe: StripeServer, db: Connection
) -> None:
    worker = await start(fleet, stripe)
    await worker.said("worker_started")
    await decide(db)
    await is_done(db)
    await worker.said("provider_call_made")
    assert stripe.refunded(INTENT) == 1_000


@pytest.mark.long
async def test_a_message_that_the_app_took_before_its_worker_was_killed_comes_under_its_id(
    fleet: Fleet, db: Connection
) -> None:
    app = MockApp(secrets=[SECRET], faults=["lost"])
    await db.execute(PRICE_LIST)
    await db.execute("update fleet.settings set app_told_since = now()")
    books = Books(db)
    await books.apply_one(Paid().bought(await books.profile()))
    async with serving(make_app(app)) as base:
        told = {"APP_EVENTS_URL": f"{base}/hooks", "APP_EVENTS_SECRETS": SECRET}
        killed = await fleet.start(WORKER, **told)

        async def is_taken() -> bool:
            return bool(app.taken)

        await eventually(is_taken)
        await kill(killed)
        await db.execute(
            "update fleet.provider_calls set next_attempt_at = now(), lease_until = now()"
        )
        other = await fleet.start(WORKER, **told)
        await is_done(db)
        app.silence.set()
    assert len(app.arrivals) == 2
    assert len(set(app.arrivals)) == 1
    assert app.types() == ["purchase.credited"]
    assert await breaches(db) == {}
    # Neither the secret nor the address stands in a log.
    for word in (SECRET, "hooks", "whsec_"):
        assert word not in killed.text + other.text


@pytest.mark.long
async def test_an_app_that_is_slow_holds_up_no_refund(
    fleet: Fleet, stripe: StripeServer, db: Connection
) -> None:
    app = MockApp(secrets=[SECRET], faults=["lost"])
    await db.execute(
        "insert into fleet.provider_calls (kind, key, request) values ('app.deliver', 'a', $1)",
        json.dumps({"type": "gift.applied", "timestamp": "2026-05-04T12:00:00Z", "data": {}}),
    )
    async with serving(make_app(app)) as base:
        await fleet.start(
            WORKER,
            STRIPE_API_KEY=KEY,
            STRIPE_API_BASE=stripe.base,
            APP_EVENTS_URL=base,
            APP_EVENTS_SECRETS=SECRET,
        )

        async def is_taken() -> bool:
            return bool(app.taken)

        await eventually(is_taken)
        await decide(db)
        await eventually(
            lambda: db.fetchval(
                "select state = 'done' from fleet.provider_calls where kind = 'stripe.refund'"
            )
        )
        # The message still waits for its answer.
        is_in_hand = await db.fetchval(
            "select lease_until is not null from fleet.provider_calls where key = 'a'"
        )
        app.silence.set()
    assert is_in_hand
    assert stripe.refunded(INTENT) == 1_000


async def is_reading_due(db: Connection) -> None:
    """Stripe's list was read until 20 hours ago, and it is time to read on."""
    await db.execute(
        "insert into fleet.backfills (provider, is_scheduled, from_at, to_at, reached_at, worker,"
        " started_at, finished_at) select 'stripe', true, t.at, t.at, t.at, 'test', t.at, t.at"
        " from (select now() - interval '20 hours' as at) as t"
    )
    await db.fetch("select fleet.open_tick('missed_events', 600, 0)")


@pytest.mark.long
async def test_a_worker_that_is_killed_between_two_pages_of_events_loses_none(
    fleet: Fleet, stripe: StripeServer, db: Connection
) -> None:
    stripe.now_s = time.time() - 18 * 3_600
    for _ in range(250):
        stripe.tell("charge.succeeded", CHARGE)
    stripe.wait(hours=18)
    stripe.faults = ["none", "lost"]
    await is_reading_due(db)
    killed = await start(fleet, stripe)

    async def is_asked_twice() -> bool:
        return len(stripe.requests) == 2

    await eventually(is_asked_twice)
    await kill(killed)
    assert await db.fetchval("select count(*) from fleet.inbox_events") == 100
    other = await start(fleet, stripe)
    is_read = "select finished_at is not null from fleet.backfills where attempts > 2"
    await eventually(lambda: db.fetchval(is_read))
    stored = await db.fetch("select provider_event_id from fleet.inbox_events")
    assert {row[0] for row in stored} == {event["id"] for event in stripe.events}
    counts = await db.fetchrow("select found, missed, seen from fleet.backfills")
    assert counts is not None
    assert tuple(counts) == (250, 250, 0)
    assert KEY not in killed.text + other.text


PACKAGE = DEVELOPMENT_SECRETS["GOOGLE_PACKAGES"]
BUYER = UUID(int=11)
COINS = 100


@pytest_asyncio.fixture
async def google() -> AsyncIterator[GoogleServer]:
    """Google's API, without purchases."""
    async with google_server() as google:
        yield google


async def start_with_google(fleet: Fleet, google: GoogleServer, folder: Path) -> Process:
    """Start a worker that has the key."""
    return await fleet.start(
        WORKER,
        GOOGLE_API_BASE=google.base,
        GOOGLE_SERVICE_ACCOUNT_FILE=str(account_file(folder, google.base)),
    )


async def submit(db: Connection, sold: Sold, *, price_minor: int) -> None:
    """Have the buyer submit the purchase; its product has this price."""
    await db.execute("insert into auth.users (id) values ($1)", BUYER)
    await db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('google', $1, $2, $3, 'usd')",
        sold.items[0].product_id,
        COINS,
        price_minor,
    )
    body = msgspec.json.encode(
        {"product_id": sold.items[0].product_id, "purchase_token": sold.token}
    )
    arrival = Google().read_submission(body, profile_id=BUYER, now_s=time.time())
    await db.execute(
        "insert into fleet.inbox_events"
        " (provider, provider_event_id, event_type, payload, payload_sha256)"
        " values ('google', $1, $2, $3, $4)",
        arrival.provider_event_id,
        arrival.event_type,
        arrival.payload,
        arrival.payload_sha256,
    )


class Case(NamedTuple):
    """What becomes of a purchase at this price, and what Google is told of it."""

    verb: str
    price_minor: int
    coins: int


@pytest.mark.long
@pytest.mark.parametrize(
    "case",
    [Case("consume", 99, COINS), Case("acknowledge", 3_000_000, 0)],
    ids=["between grant and consume", "between hold and acknowledge"],
)
async def test_what_google_was_told_before_its_worker_was_killed_is_told_once(
    fleet: Fleet, google: GoogleServer, db: Connection, tmp_path: Path, case: Case
) -> None:
    sold = google.store.sell(Item("coins"), account_id=str(BUYER), package=PACKAGE)
    await submit(db, sold, price_minor=case.price_minor)
    # The purchase is read; then it is confirmed, and no answer comes.
    google.faults = ["none", "lost"]
    killed = await start_with_google(fleet, google, tmp_path)

    async def is_confirmed() -> bool:
        return sold.acknowledged

    await eventually(is_confirmed)
    await kill(killed)
    # Committed before Google was told.
    held = await db.fetchval("select hold_reason from public.coin_purchases")
    assert held == (None if case.coins else "needs_approval")
    # Its lease is over.
    await db.execute("update fleet.provider_calls set next_attempt_at = now(), lease_until = now()")
    other = await start_with_google(fleet, google, tmp_path)
    await eventually(
        lambda: db.fetchval("select bool_and(state = 'done') from fleet.provider_calls")
    )
    assert sold.items[0].consumed == (case.verb == "consume")
    assert sold.state == "PURCHASED"
    balance = await db.fetchval("select coin_balance from public.profiles where id = $1", BUYER)
    assert balance == case.coins
    # Refused the second time, it was read what had become of it.
    asked = [path.rpartition(":")[2] if ":" in path else "" for _, path in google.requests]
    assert asked == ["", case.verb, case.verb, ""]
    assert await breaches(db) == {}
    for word in (sold.token, "ya29", "PRIVATE KEY"):
        assert word not in killed.text + other.text


@pytest.mark.long
async def test_a_purchase_whose_worker_was_killed_before_it_was_read_is_read_by_another(
    fleet: Fleet, google: GoogleServer, db: Connection, tmp_path: Path
) -> None:
    sold = google.store.sell(Item("coins"), account_id=str(BUYER), package=PACKAGE)
    await submit(db, sold, price_minor=99)
    google.faults = ["lost"]
    killed = await start_with_google(fleet, google, tmp_path)

    async def is_asked() -> bool:
        return bool(google.requests)

    await eventually(is_asked)
    await kill(killed)
    await db.execute("update fleet.provider_calls set next_attempt_at = now(), lease_until = now()")
    await start_with_google(fleet, google, tmp_path)
    await eventually(
        lambda: db.fetchval(
            "select coin_balance = $2 from public.profiles where id = $1", BUYER, 100
        )
    )
    assert await breaches(db) == {}
