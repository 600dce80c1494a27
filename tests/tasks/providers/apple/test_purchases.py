"""From what Apple and the client send to coins: one grant, and refunds in any order."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import pytest_asyncio

from db.inbox.arrivals import store_arrivals
from tasks.payment_events import process_payment_events
from tests.db.books import breaches
from tests.tasks.contexts import make_context
from tests.tasks.providers.apple.apps import AT, BUYER, NOW_S, new_apple, signer

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from db.inbox.arrivals import Arrival

pytestmark = pytest.mark.requirement("C11")

APPLE = new_apple()


@pytest_asyncio.fixture
async def buyer(db: Connection) -> UUID:
    """A buyer, and a price list of 100 coins for the product."""
    await db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('apple', 'coins_100', 100, 99, 'usd')"
    )
    await db.execute("insert into auth.users (id) values ($1)", UUID(BUYER))
    return UUID(BUYER)


def notified(notification_type: str, minutes: int, **fields: object) -> Arrival:
    """Return a notification of the transaction as Apple signs it so many minutes later."""
    at = AT + timedelta(minutes=minutes)
    transaction = {
        **signer().transaction("2000001", at, **fields),
        "purchaseDate": 1_795_770_000_123,
    }
    return APPLE.verify(signer().notify(notification_type, transaction, at), {}, now_s=NOW_S)


def submitted(profile_id: UUID, **fields: object) -> Arrival:
    """Return what a profile's client submits."""
    body = signer().submission(signer().transaction("2000001", AT, **fields))
    return APPLE.read_submission(body, profile_id=profile_id, now_s=NOW_S)


async def apply(web: Pool, worker: Pool, *arrivals: Arrival) -> None:
    """Store the arrivals, and apply them one batch after the other."""
    await store_arrivals(web, list(arrivals))
    await process_payment_events(make_context(worker, batch_size=2))


async def coins(db: Connection, profile_id: UUID) -> int:
    """Return the balance of a profile, in books that are right."""
    assert await breaches(db) == {}
    balance: int = await db.fetchval(
        "select coin_balance from public.profiles where id = $1", profile_id
    )
    return balance


async def test_a_notification_and_the_clients_transaction_are_one_grant(
    db: Connection, web_pool: Pool, worker_pool: Pool, buyer: UUID
) -> None:
    fields = {"appAccountToken": BUYER, "quantity": 3}
    told = [submitted(buyer, **fields), notified("ONE_TIME_CHARGE", 0, **fields)]
    await apply(web_pool, worker_pool, *told, *told)
    assert await coins(db, buyer) == 300
    outcomes = await db.fetch(
        "select state, reason from fleet.inbox_events where provider = 'apple' order by reason"
    )
    assert [tuple(each) for each in outcomes] == [
        ("applied", "duplicate_payment"),
        ("applied", None),
    ]


async def test_a_purchase_without_a_buyer_is_the_clients_that_submits_it(
    db: Connection, web_pool: Pool, worker_pool: Pool, buyer: UUID
) -> None:
    await apply(web_pool, worker_pool, notified("ONE_TIME_CHARGE", 0))
    assert await coins(db, buyer) == 0
    await apply(web_pool, worker_pool, submitted(buyer))
    assert await coins(db, buyer) == 100


async def test_refunds_and_their_reversal_count_by_the_newest_signature(
    db: Connection, web_pool: Pool, worker_pool: Pool, buyer: UUID
) -> None:
    fields = {"appAccountToken": BUYER, "quantity": 3}
    refunded = {**fields, "revocationDate": 1, "revocationReason": 0}
    events = [
        notified("ONE_TIME_CHARGE", 0, **fields),
        notified("REFUND", 1, **refunded),
        notified("REFUND_REVERSED", 2, **fields),
        notified("REFUND", 3, **refunded, revocationPercentage=33_333),
    ] * 2
    random.Random(5).shuffle(events)
    for event in events:
        await apply(web_pool, worker_pool, event)
    assert await coins(db, buyer) == 200


async def test_what_cost_nothing_grants_nothing(
    db: Connection, web_pool: Pool, worker_pool: Pool, buyer: UUID
) -> None:
    of = signer("Sandbox")
    body = of.notify("ONE_TIME_CHARGE", of.transaction("1", AT, appAccountToken=BUYER), AT)
    await apply(web_pool, worker_pool, APPLE.verify(body, {}, now_s=NOW_S))
    assert await coins(db, buyer) == 0
    assert await db.fetchval("select reason from fleet.inbox_events") == "sandbox"
