"""From what Google and the client send to coins: read, granted once, acknowledged and consumed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from db.backfills import begin_backfill
from db.inbox.arrivals import store_arrivals
from tasks.backfill import find_missed_events, read_pages
from tasks.payment_events import process_payment_events
from tasks.provider_calls import make_provider_calls
from tasks.providers.google import Google
from tests.db.books import breaches
from tests.tasks.contexts import make_context
from tests.tasks.providers.google.events import BUYER
from workers.mock_providers.google import (
    AUDIENCE,
    PACKAGE,
    PUSH_EMAIL,
    Item,
    Sold,
    account_file,
    signed_push,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool
    from db.inbox.arrivals import Arrival
    from tasks.context import Context
    from workers.mock_providers.google import GoogleHost, GoogleServer

pytestmark = pytest.mark.requirement("C11")

COINS, DEAR = "coins_100", "coins_dear"


class Shop:
    """A fleet with Google: what is sold there, and what becomes of it here."""

    def __init__(self, google: GoogleServer, provider: Google, web: Pool, worker: Pool) -> None:
        self.google = google
        self.store = google.store
        self.provider = provider
        self.web = web
        self.context: Context = make_context(worker, providers={"google": provider})
        self.told = 0

    async def receive(self, *arrivals: Arrival) -> None:
        """Store what arrives, and work until nothing is due."""
        await store_arrivals(self.web, list(arrivals))
        await self.work()

    async def work(self) -> None:
        """Apply events and make calls until both have nothing to do."""
        while await process_payment_events(self.context) + await make_provider_calls(self.context):
            pass

    async def push(self, *numbers: int) -> None:
        """Push what Google told: these, or all that is new."""
        chosen = numbers or range(self.told, len(self.store.told))
        self.told = len(self.store.told)
        await self.receive(*[await self._pushed(number) for number in chosen])

    async def submit(self, sold: Sold, profile_id: UUID = BUYER, product: str = COINS) -> None:
        """Have the client of a profile submit a purchase."""
        body = msgspec.json.encode({"product_id": product, "purchase_token": sold.token})
        now_s = self.store.now_s
        await self.receive(self.provider.read_submission(body, profile_id=profile_id, now_s=now_s))

    async def _pushed(self, number: int) -> Arrival:
        body, headers = signed_push(self.store.told[number], message_id=f"m{number}")
        named = {name.encode(): value.encode() for name, value in headers.items()}
        now_s = self.store.now_s
        return await asyncio.to_thread(self.provider.verify, body, named, now_s=now_s)


@pytest_asyncio.fixture(scope="module")
async def provider(
    host: GoogleHost, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Google]:
    """The provider, with a key: a client of HTTP takes long to make."""
    made = Google(
        packages=(PACKAGE,),
        push_audience=AUDIENCE,
        push_email=PUSH_EMAIL,
        certificates_url=f"{host.base}/oauth2/v1/certs",
        service_account_file=account_file(tmp_path_factory.mktemp("account"), host.base),
        api_base=host.base,
    )
    calls, history = made._calls, made._history
    assert calls is not None
    assert history is not None
    for api in (calls._api, history._api):
        api._http._interval_s = api._access._http._interval_s = 0
    yield made
    await made.close()


@pytest_asyncio.fixture
async def shop(
    db: Connection, google: GoogleServer, provider: Google, web_pool: Pool, worker_pool: Pool
) -> Shop:
    """A shop with 100 coins for 0.99, and a product that needs a person's approval."""
    for api in (provider._calls._api, provider._history._api):  # type: ignore[union-attr]
        api._access._token = None
    await db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('google', $1, 100, 99, 'usd'), ('google', $2, 9000000, 3000000, 'usd')",
        COINS,
        DEAR,
    )
    await db.execute("insert into auth.users (id) values ($1)", BUYER)
    return Shop(google, provider, web_pool, worker_pool)


async def coins(db: Connection, profile_id: UUID = BUYER) -> int:
    """The balance of a profile, in books that are right."""
    assert await breaches(db) == {}
    balance: int = await db.fetchval(
        "select coin_balance from public.profiles where id = $1", profile_id
    )
    return balance


async def outcomes(db: Connection) -> list[tuple[Any, ...]]:
    rows = await db.fetch(
        "select event_type, state, reason from fleet.inbox_events order by received_at, id"
    )
    return [tuple(row) for row in rows]


async def hours_pass(db: Connection, hours: float) -> None:
    """Have all calls and events come due that would in so many hours."""
    await db.execute(
        "update fleet.provider_calls set next_attempt_at = next_attempt_at - $1 * interval '1 hour'"
        " where state = 'pending'",
        hours,
    )


async def test_a_purchase_is_granted_once_and_consumed(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS, quantity=3), account_id=str(BUYER))
    await shop.push()
    await shop.push(0)
    await shop.submit(sold)
    assert await coins(db) == 300
    assert sold.acknowledged
    assert sold.items[0].consumed
    assert await outcomes(db) == [
        ("one_time_product.purchased", "applied", None),
        ("client.purchase", "applied", "duplicate_payment"),
    ]


async def test_a_purchase_without_a_buyer_is_the_clients_that_submits_it(
    db: Connection, shop: Shop
) -> None:
    sold = shop.store.sell(Item(COINS))
    await shop.push()
    assert (await coins(db), sold.acknowledged) == (0, False)
    await shop.submit(sold)
    assert (await coins(db), sold.items[0].consumed) == (100, True)


async def test_another_than_the_buyer_gets_nothing(db: Connection, shop: Shop) -> None:
    thief = UUID(int=7)
    await db.execute("insert into auth.users (id) values ($1)", thief)
    sold = shop.store.sell(Item(COINS), account_id=str(BUYER))
    await shop.submit(sold, thief)
    assert await coins(db, thief) == 0
    assert await outcomes(db) == [("client.purchase", "rejected", "not_the_buyer")]
    await shop.push()
    assert await coins(db) == 100


async def test_a_pending_purchase_is_granted_when_it_is_paid(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS), pending=True)
    await shop.submit(sold)
    for _ in range(3):
        assert await outcomes(db) == [("client.purchase", "waiting", "not_paid_yet")]
        assert (await coins(db), sold.acknowledged) == (0, False)
        await hours_pass(db, 1)
        await shop.work()
    # What is told besides changes nothing for the client's event.
    shop.store.complete(sold)
    await hours_pass(db, 1)
    await shop.work()
    assert await outcomes(db) == [("client.purchase", "applied", None)]
    assert (await coins(db), sold.items[0].consumed) == (100, True)
    await shop.push()
    assert await coins(db) == 100


async def test_a_pending_purchase_that_is_canceled_is_over(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS), pending=True, account_id=str(BUYER))
    await shop.submit(sold)
    shop.store.cancel_pending(sold)
    await shop.push()
    await hours_pass(db, 1)
    await shop.work()
    assert await outcomes(db) == [
        ("client.purchase", "ignored", "canceled"),
        ("one_time_product.canceled", "ignored", "canceled"),
    ]
    assert await coins(db) == 0


async def test_a_token_that_google_does_not_know_is_refused_after_ten_minutes(
    db: Connection, shop: Shop
) -> None:
    sold = Sold(token="forged", items=[Item(COINS)], order_id=None, bought_s=0)
    await shop.submit(sold)
    assert await outcomes(db) == [("client.purchase", "waiting", "unknown_token_yet")]
    await db.execute("update fleet.inbox_events set received_at = now() - interval '11 minutes'")
    await hours_pass(db, 1)
    await shop.work()
    assert await outcomes(db) == [("client.purchase", "rejected", "unknown_token")]


async def test_a_refused_token_that_google_knows_by_now_is_granted_when_it_is_replayed(
    db: Connection, shop: Shop
) -> None:
    sold = shop.store.sell(Item(COINS), account_id=str(BUYER), package="com.example.unlisted")
    await shop.submit(sold)
    await db.execute("update fleet.inbox_events set received_at = now() - interval '11 minutes'")
    await hours_pass(db, 1)
    await shop.work()
    assert await outcomes(db) == [("client.purchase", "rejected", "unknown_token")]
    sold.package = PACKAGE
    skipped = await db.fetchval(
        "select r.skipped from fleet.inbox_events as e cross join lateral"
        " fleet.replay_events(array[e.id], array[e.state], 'ann@desk', 'it is listed', '{}') as r"
    )
    assert skipped is None
    await shop.work()
    assert await outcomes(db) == [("client.purchase", "applied", None)]
    assert await coins(db) == 100


async def test_what_goes_back_is_taken_back_however_it_is_told(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS, quantity=3), account_id=str(BUYER))
    shop.store.refund_some(sold, sold.items[0], 1)
    purchase, void = 0, 1
    # The void comes first, and reads all there is to know.
    await shop.push(void)
    assert await coins(db) == 200
    await shop.push(purchase, void)
    assert await coins(db) == 200
    await find_missed_events(shop.context)
    await shop.work()
    assert await coins(db) == 200
    shop.store.refund(sold, revoke=True)
    await shop.push()
    assert await coins(db) == 0


async def test_a_refund_that_only_the_console_knows_is_found(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS), account_id=str(BUYER))
    await shop.push()
    assert await coins(db) == 100
    shop.store.refund(sold, revoke=False)
    assert shop.store.voided == []
    # Each order has its hour; a person who asks has all of them read, since whenever.
    history = shop.provider.history()
    assert history is not None
    backfill = await begin_backfill(
        shop.context.pool,
        "google",
        worker="test",
        overlap=history.overlap,
        keeps=history.keeps,
        since=datetime.now(UTC) - timedelta(minutes=5),
    )
    assert backfill is not None
    async for _ in read_pages(shop.context.pool, history, backfill):
        pass
    await shop.work()
    assert await coins(db) == 0


async def held(db: Connection, shop: Shop) -> tuple[Sold, int]:
    """A purchase that waits for a person, and its number."""
    sold = shop.store.sell(Item(DEAR), account_id=str(BUYER), price=("USD", 30_000, 0))
    await shop.push()
    purchase_id: int = await db.fetchval("select id from public.coin_purchases")
    assert await db.fetchval("select hold_reason from public.coin_purchases") == "needs_approval"
    return sold, purchase_id


async def test_a_held_purchase_is_acknowledged_at_once_and_consumed_when_it_is_granted(
    db: Connection, shop: Shop
) -> None:
    sold, purchase_id = await held(db, shop)
    assert (sold.acknowledged, sold.items[0].consumed) == (True, False)
    # A person takes a week; Google refunds after three days what nobody acknowledged.
    shop.store.wait(hours=7 * 24)
    assert sold.state == "PURCHASED"
    await db.execute("select public.approve_coin_purchase($1, 'owner', 'known')", purchase_id)
    await shop.work()
    assert await coins(db) == 9_000_000
    assert sold.items[0].consumed


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_rejected_purchase_is_refunded_and_closed_without_a_notification(
    db: Connection, shop: Shop, *, is_slow: bool
) -> None:
    sold, purchase_id = await held(db, shop)
    sold.refund_takes_reads = int(is_slow)
    await db.execute("select public.reject_coin_purchase($1, 'owner', 'stolen card')", purchase_id)
    await shop.work()
    if is_slow:
        await hours_pass(db, 1)
        await shop.work()
    assert sold.order_state == "REFUNDED"
    assert await coins(db) == 0
    row = await db.fetchrow("select status, decision from public.coin_purchases")
    assert row is not None
    assert tuple(row) == ("refunded", "rejected")
    states = {event_type: (state, reason) for event_type, state, reason in await outcomes(db)}
    assert states["one_time_product.purchased"] == ("rejected", "by_decision")
    assert states["backfill.order"][0] == "applied"
    # Its notification comes later, and changes nothing.
    await shop.push()
    assert await coins(db) == 0


async def test_a_question_of_google_is_kept(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS), account_id=str(BUYER))
    await shop.push()
    token = shop.store.ask_about(sold)
    await shop.push()
    row = await db.fetchrow(
        "select provider, inquiry_id, reason, deadline - asked_at = interval '1 day'"
        " from fleet.store_inquiries"
    )
    assert row is not None
    assert tuple(row) == ("google", token, "CHARGEBACK", True)


async def test_a_license_testers_purchase_grants_nothing(db: Connection, shop: Shop) -> None:
    sold = shop.store.sell(Item(COINS), account_id=str(BUYER), is_test=True)
    await shop.push()
    assert await outcomes(db) == [("one_time_product.purchased", "ignored", "sandbox")]
    shop.store.wait(seconds=301)
    assert sold.state == "CANCELLED"
    await shop.push()
    assert await coins(db) == 0


async def test_nothing_that_was_sent_or_answered_is_in_a_log(
    db: Connection, shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    sold = shop.store.sell(Item(COINS), account_id=str(BUYER))
    shop.google.faults += ["malformed", "throttled"]
    await shop.push()
    for _ in range(3):
        await hours_pass(db, 1)
        await shop.work()
    logged = "".join(capfd.readouterr())
    assert "provider_call" in logged
    for secret in (sold.token, "Jane", "ya29", "PRIVATE KEY", str(BUYER), "Bearer"):
        assert secret not in logged
