"""Freezes that a rolling release left undone: older workers knew disputes and purchases alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.release.runner import mend_freezes
from tests.db.books import SHORT, Books, Payment, gift
from tests.db.freezes.freezing import LATER, bought, frozen, released_by

if TYPE_CHECKING:
    from db.connections.pool import Connection

pytestmark = pytest.mark.requirement("C6", "C7")

MEND = "select fleet.mend_freezes(100)"
INQUIRY = {"status": "warning_needs_response", "dispute_id": "du"}


async def test_an_inquiry_that_older_workers_stored_freezes_after_the_release(books: Books) -> None:
    payment, friend = Payment(), await books.profile()
    buyer = await bought(books, payment)
    await books.apply_one(payment.dispute(1_000, **INQUIRY))
    await books.db.execute("delete from fleet.frozen_purchases; delete from fleet.freezes")
    assert await books.db.fetchval(MEND) == 1
    assert await frozen(books, buyer) == 1_000
    assert await books.apply_one(gift(buyer, friend, 1)) == SHORT
    assert await books.db.fetchval(MEND) == 0


async def test_a_purchase_that_older_workers_granted_is_frozen_after_the_release(
    books: Books,
) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply_one(payment.dispute(1_000, **INQUIRY))
    await books.db.execute("delete from fleet.frozen_purchases")
    assert await books.db.fetchval(MEND) == 1
    assert await frozen(books, buyer) == 1_000
    assert await books.db.fetchval(MEND) == 0


async def test_an_inquiry_that_older_workers_ended_freezes_no_more_after_the_release(
    books: Books,
) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply_one(payment.dispute(1_000, **INQUIRY))
    await books.db.execute(
        "update fleet.disputes set status = 'warning_closed', told_at = $1", LATER
    )
    assert await books.db.fetchval(MEND) == 1
    assert await frozen(books, buyer) == 0
    assert await released_by(books, payment) == ["inquiry"]
    assert await books.db.fetchval(MEND) == 0


async def test_mending_freezes_nothing_else(books: Books) -> None:
    """What is right stays: a person's release, a refund since, and a warning."""
    released, refunded, warned = Payment(), Payment(), Payment()
    for payment in (released, refunded, warned):
        await bought(books, payment)
    await books.apply(*(p.dispute(1_000, **INQUIRY) for p in (released, refunded)))
    await books.apply(warned.freeze(), refunded.refund(10, told_at=LATER))
    await books.db.execute(
        "select public.release_coin_purchase($1, 'ann', 'known', 'ann@laptop')",
        (await books.purchase(released))["id"],
    )
    everything = "select array_agg(f order by source_id)::text from fleet.freezes as f"
    before = await books.db.fetchval(everything)
    assert await books.db.fetchval(MEND) == 0
    assert await books.db.fetchval(everything) == before


async def test_a_release_mends_the_freezes_of_the_workers_before_it(
    books: Books, db: Connection
) -> None:
    payment = Payment()
    buyer = await bought(books, payment)
    await books.apply_one(payment.dispute(1_000, **INQUIRY))
    await db.execute("delete from fleet.frozen_purchases")
    await mend_freezes(db)
    assert await frozen(books, buyer) == 1_000
