"""What `coinfleet status` says of payments that a person rejected and that are not refunded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.db.books import PRICE_LIST, Books, Payment
from tests.workers.cli.status.questions import health_of

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

pytestmark = pytest.mark.usefixtures("at_work")

DOLLARS = 25_001
COINS = DOLLARS * 100


@pytest_asyncio.fixture
async def books(db: Connection) -> Books:
    """Books with a price list."""
    await db.execute(PRICE_LIST)
    return Books(db)


async def reject(books: Books, payment: Payment) -> int:
    """A purchase above the threshold was rejected just now; gives its number."""
    await books.apply_one(payment.worth(await books.profile(), DOLLARS))
    purchase_id: int = (await books.purchase(payment))["id"]
    await books.db.execute("select public.reject_coin_purchase($1, 'ann', 'why')", purchase_id)
    return purchase_id


async def decided_ago(books: Books, interval: str) -> None:
    """Let that much time have passed since the decision."""
    await books.db.execute(
        "alter table fleet.decisions disable trigger user;"
        f" update fleet.decisions set decided_at = clock_timestamp() - interval '{interval}';"
        " alter table fleet.decisions enable trigger user"
    )


async def the_call(books: Books, columns: str) -> int:
    """Let this have become of the refund's call; gives its number."""
    call_id: int = await books.db.fetchval(
        f"update fleet.provider_calls set {columns} where kind = 'stripe.refund' returning id"
    )
    return call_id


def took(payment: Payment) -> str:
    return (
        "state = 'done', finished_at = now(), result ="
        f""" '{{"refund_id": "{payment.refund(1).refund_id}"}}'"""
    )


async def lines(database: Database) -> list[str]:
    return [each for each in (await health_of(database)).attention if "rejected" in each]


async def test_a_rejected_purchase_is_named_if_its_refund_has_not_come_for_a_day(
    database: Database, books: Books
) -> None:
    payment = Payment()
    purchase_id = await reject(books, payment)
    await the_call(books, took(payment))
    await decided_ago(books, "23 hours")
    assert await lines(database) == []
    await decided_ago(books, "2 days")
    (line,) = await lines(database)
    assert line == (
        f"purchase {purchase_id} ({COINS:,} coins) was rejected 2 d ago and is not refunded:"
        f" stripe took refund re_{payment.number} and has told of no refund: look it up there; an"
        " event of the refund closes it"
    )
    await books.apply_one(payment.refund(DOLLARS * 100))
    assert await lines(database) == []


async def test_a_refund_that_came_to_nothing_is_named_at_once_and_until_the_money_is_back(
    database: Database, books: Books
) -> None:
    payment = Payment()
    purchase_id = await reject(books, payment)
    call_id = await the_call(books, took(payment))
    await books.apply_one(payment.refund(DOLLARS * 100, status="pending"))
    assert await lines(database) == []
    await books.apply_one(payment.refund(DOLLARS * 100, status="failed"))
    (line,) = await lines(database)
    assert line.startswith(f"purchase {purchase_id} ({COINS:,} coins) was rejected")
    assert line.endswith(
        f"refund re_{payment.number} is failed: pay it back by hand at stripe, or have it made"
        f" again: `coinfleet replay calls {call_id} --why WHY`"
    )
    # Somebody pays it back in the dashboard.
    await books.apply_one(payment.refund(DOLLARS * 100, "by_hand"))
    assert await lines(database) == []


async def test_a_call_that_nobody_makes_or_that_is_dead_is_told(
    database: Database, books: Books
) -> None:
    payment = Payment()
    await reject(books, payment)
    call_id = await the_call(books, "last_error = '503'")
    await decided_ago(books, "25 hours")
    (line,) = await lines(database)
    assert f"call {call_id} waits to be made (503)" in line
    await the_call(books, "state = 'dead', last_error = '400 unknown', finished_at = now()")
    (line,) = await lines(database)
    assert f"call {call_id} is dead (400 unknown): pay it back by hand at stripe" in line


async def test_a_payment_without_a_purchase_is_named_by_its_event(
    database: Database, books: Books
) -> None:
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(None, buyer_unreadable=True))
    await books.work()
    await books.db.execute("select public.reject_held_event($1, 'ann', 'why')", event_id)
    await the_call(books, took(payment))
    await decided_ago(books, "2 days")
    (line,) = await lines(database)
    assert line.startswith(f"event {event_id} was rejected 2 d ago and is not refunded: stripe")
    await books.apply_one(payment.refund(100))
    assert await lines(database) == []


async def test_what_was_rejected_without_a_refund_needs_nobody(
    database: Database, books: Books
) -> None:
    payment = Payment()
    await books.apply_one(payment.worth(await books.profile(), DOLLARS))
    purchase_id = (await books.purchase(payment))["id"]
    await books.db.execute(
        "select public.reject_coin_purchase($1, 'ann', 'why', true)", purchase_id
    )
    await decided_ago(books, "9 days")
    assert await lines(database) == []
