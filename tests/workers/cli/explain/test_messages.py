"""What `coinfleet explain` says of messages to the app: each of a purchase, a payment, a gift."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.facts import Gift
from db.outbox.deliveries import Order, send_again
from tests.db.books import PRICE_LIST, ROSE, Books, Payment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.connections.pool import Connection
    from tests.workers.cli.conftest import Ended, Typed

    Explain = Callable[[str], Awaitable[Ended]]

DOLLARS = 25_001


@pytest.fixture
def explain(typed: Typed) -> Explain:
    """Runs `coinfleet explain`."""
    return partial(typed, "explain")


@pytest_asyncio.fixture
async def books(db: Connection) -> Books:
    """Books of which the app is told."""
    await db.execute(PRICE_LIST)
    await db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    return Books(db)


async def messages(explain: Explain, typed: str) -> list[str]:
    """The keys of the messages in a story, without the numbers at their ends, sorted."""
    ended = await explain(typed)
    assert ended.code == 0, ended.err
    keys: list[str] = re.findall(r"the app is told, ([a-z-]+)-[0-9-]+:", ended.out)
    return sorted(keys)


async def held(books: Books, payment: Payment) -> int:
    """A purchase that waits for a person; gives its number."""
    await books.apply_one(payment.worth(await books.profile(), DOLLARS))
    purchase_id: int = (await books.purchase(payment))["id"]
    return purchase_id


async def test_a_rejected_purchase_tells_that_it_was_held_and_rejected(
    explain: Explain, books: Books
) -> None:
    payment, others = Payment(), [Payment() for _ in range(12)]
    purchase_id = await held(books, payment)
    # Other purchases whose numbers begin alike have messages of their own.
    for other in others:
        other_id = await held(books, other)
        await books.db.execute("select public.reject_coin_purchase($1, 'ann', 'why')", other_id)
    await books.db.execute("update fleet.provider_calls set state = 'done', finished_at = now()")
    await books.db.execute("select public.reject_coin_purchase($1, 'ann', 'why')", purchase_id)
    told = ["purchase-held", "purchase-rejected"]
    for typed in (payment.intent, f"purchase:{purchase_id}"):
        assert await messages(explain, typed) == told
    # The refund fails at the bank: it is held again, and once more rejected.
    await books.apply_one(payment.refund(DOLLARS * 100))
    await books.apply_one(payment.refund(DOLLARS * 100, status="failed"))
    assert await messages(explain, payment.intent) == told


async def test_a_hold_that_was_refunded_and_is_held_again_is_told_each_time(
    explain: Explain, books: Books
) -> None:
    payment = Payment()
    await held(books, payment)
    await books.db.execute("update fleet.provider_calls set state = 'done', finished_at = now()")
    await books.apply_one(payment.refund(DOLLARS * 100))
    await books.apply_one(payment.refund(DOLLARS * 100, status="failed"))
    assert await messages(explain, payment.intent) == [
        "purchase-held",
        "purchase-held",
        "purchase-rejected",
    ]


async def test_a_rejected_payment_without_a_purchase_tells_its_messages(
    explain: Explain, books: Books
) -> None:
    payment = Payment()
    (event_id,) = await books.receive(payment.bought(None, buyer_unreadable=True))
    await books.work()
    await books.db.execute("update fleet.provider_calls set state = 'done', finished_at = now()")
    await books.db.execute("select public.reject_held_event($1, 'ann', 'why')", event_id)
    told = ["purchase-held-payment", "purchase-rejected-payment"]
    for typed in (payment.intent, f"event:{event_id}"):
        assert await messages(explain, typed) == told


async def test_a_refused_gift_tells_that_the_app_heard_of_it(
    explain: Explain, books: Books
) -> None:
    sender, recipient = await books.profiles(2)
    gift = Gift(sender_id=sender, recipient_id=recipient, gift_type=ROSE, quantity=9)
    await books.receive(gift, ids=["gift_of_nothing"])
    books.wait(minutes=1)
    await books.work()
    assert await messages(explain, "gift_of_nothing") == ["gift-rejected"]


async def test_who_had_a_message_sent_again_is_told(explain: Explain, books: Books) -> None:
    payment = Payment()
    await books.apply_one(payment.bought(await books.profile()))
    order = Order(typed_by="ann@desk", reason="the app lost it", detail={})
    ids = await books.db.fetchval("select array_agg(id) from fleet.provider_calls")
    assert await send_again(books.db, ids, order) == (1, False)
    told = await explain(payment.intent)
    assert "ann@desk had 1 message to the app sent again: “the app lost it”" in told.out
