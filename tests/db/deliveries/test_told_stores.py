"""Payments of stores: what the app knows from its messages is what the books say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.approvals.decisions import let_people_be_named
from tests.db.books import Books
from tests.db.deliveries.messages import Messages
from tests.db.stores.sales import PRICE_LIST
from tests.db.stores.test_stores_at_random import Round

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import asyncpg

    from tests.conftest import Connect
    from tests.db.deliveries.messages import Message

pytestmark = pytest.mark.requirement("I2")

SIGNS = {"purchase.credited": 1, "purchase.reversed": -1, "purchase.reinstated": 1}
PURCHASES = """
select id, coin_amount, refunded_coins, granted_at is not null as is_granted,
    decision is null and status = 'pending' as is_held
from public.coin_purchases
"""


def says(messages: list[Message], purchase: asyncpg.Record) -> None:
    """What is told of a purchase is what its row says."""
    moved = [message for message in messages if message.type in SIGNS]
    coins = sum(SIGNS[message.type] * message.data["coins"] for message in moved)
    latest = max(messages, key=lambda message: message.timestamp)
    if purchase["is_granted"]:
        assert latest.type in SIGNS, purchase
        assert coins == purchase["coin_amount"] - purchase["refunded_coins"], purchase
    else:
        state = "purchase.held" if purchase["is_held"] else "purchase.rejected"
        assert (latest.type, coins) == (state, 0), purchase


async def run_told(workers: Sequence[Books], seeds: range, number: int) -> None:
    """Try rounds of so many payments, and compare what was told with what is stored."""
    books = workers[0]
    await books.db.execute(PRICE_LIST)
    await books.db.execute("select fleet.configure(50000, 25000, 1000000, 4)")
    await books.db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    await let_people_be_named(books.db)
    people: list[UUID] = []
    for seed in seeds:
        newcomers = await books.profiles(4)
        people += newcomers
        await Round(workers, newcomers, seed).run(number)
    told = await Messages(books).all()
    for purchase in await books.db.fetch(PURCHASES):
        says([m for m in told if m.data.get("purchase_id") == purchase["id"]], purchase)
    for person in people:
        entries = [m.data for m in told if m.data["profile_id"] == str(person) and m.data["seq"]]
        numbers = [data["seq"] for data in entries]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        if entries:
            newest = max(entries, key=lambda data: data["seq"])
            assert newest["coin_balance"] == await books.coins(person)
    assert await books.breaches() == {}


async def test_what_is_told_of_stores_is_what_the_books_say(books: Books, connect: Connect) -> None:
    await run_told([books, Books(await connect())], range(7_000, 7_001), 25)


@pytest.mark.long
async def test_what_is_told_of_many_payments_of_stores_is_what_the_books_say(
    books: Books, connect: Connect
) -> None:
    await run_told([books, Books(await connect())], range(8_000, 8_040), 50)
