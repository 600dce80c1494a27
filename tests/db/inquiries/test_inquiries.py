"""Questions of stores: kept once, and what they tell of their purchase counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from db.facts import LineItem, StoreInquiry, StorePurchase, StoreSnapshot
from tests.db.books import NOON, Books, Outcome

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID


@pytest_asyncio.fixture
async def buyer(books: Books) -> UUID:
    """A buyer, and a product of 100 coins."""
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('apple', 'hundred', 100, 99, 'usd')"
    )
    return await books.profile()


def sold(buyer: UUID) -> StorePurchase:
    """Return the purchase that is asked about."""
    return StorePurchase(
        provider_payment_id="T1",
        payment_keys=["T1"],
        store_app="apple.app",
        purchased_at=NOON,
        told_at=NOON,
        line_items=[LineItem(product_id="hundred")],
        profile_id=buyer,
    )


def asked(at: datetime, *, milli_percent: int | None = 0) -> StoreInquiry:
    """Return a question; `milli_percent` of the purchase is reversed, None if it doesn't say."""
    told = None
    if milli_percent is not None:
        told = StoreSnapshot(
            payment_keys=["T1"],
            told_at=at,
            store_app="apple.app",
            reversed_milli_percent=milli_percent,
        )
    return StoreInquiry(
        payment_keys=["T1"],
        inquiry_id="T1",
        store_app="apple.app",
        asked_at=at,
        deadline=at + timedelta(hours=12),
        reason="OTHER",
        told=told,
    )


async def inquiries(books: Books) -> list[tuple[str, datetime]]:
    """Return the questions that are kept, and their deadlines."""
    rows = await books.db.fetch("select inquiry_id, deadline from fleet.store_inquiries")
    return [(row["inquiry_id"], row["deadline"]) for row in rows]


async def test_a_question_that_is_repeated_is_one_with_the_newest_deadline(
    books: Books, buyer: UUID
) -> None:
    later = NOON + timedelta(hours=8)
    assert await books.apply(sold(buyer), asked(later), asked(NOON)) == [Outcome("applied")] * 3
    assert await books.apply(asked(NOON)) == [Outcome("applied")]
    assert await inquiries(books) == [("T1", later + timedelta(hours=12))]


async def test_what_a_question_tells_of_its_purchase_counts(books: Books, buyer: UUID) -> None:
    await books.apply(sold(buyer), asked(NOON + timedelta(hours=1), milli_percent=50_000))
    assert await books.coins(buyer) == 50


async def test_a_question_before_its_purchase_is_kept_and_waits(books: Books, buyer: UUID) -> None:
    assert await books.apply(asked(NOON)) == [Outcome("waiting", "no_purchase_yet")]
    assert len(await inquiries(books)) == 1
    await books.apply(sold(buyer))
    assert await books.coins(buyer) == 100


async def test_a_question_that_tells_nothing_else_is_applied(books: Books) -> None:
    assert await books.apply(asked(NOON, milli_percent=None)) == [Outcome("applied")]
    assert len(await inquiries(books)) == 1
