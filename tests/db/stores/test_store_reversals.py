"""What went back of a store's purchase: snapshots, quantities, voided records, in any order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.db.books import APPLIED, NO_PURCHASE_YET, NOON, Books, Outcome, gift
from tests.db.stores.sales import SEVEN, Sale, calls, item, purchase

pytestmark = pytest.mark.requirement("C7")

LATER = NOON + timedelta(hours=1)


async def status(books: Books, sale: Sale) -> tuple[str, int]:
    """The status of a sale's purchase, and the coins taken back."""
    row = await purchase(books, sale)
    assert row is not None
    return row["status"], row["refunded_coins"]


async def test_apples_newest_snapshot_counts_in_any_order(books: Books, apple: Sale) -> None:
    buyer = await books.profile()
    await books.apply_one(apple.sold(buyer))
    await books.apply_one(apple.reversed(0, LATER + timedelta(hours=1)))
    await books.apply_one(apple.reversed(100_000, LATER))
    assert await status(books, apple) == ("confirmed", 0)
    await books.apply_one(apple.reversed(50_000, LATER + timedelta(hours=2)))
    assert await status(books, apple) == ("confirmed", 50)
    assert await books.coins(buyer) == 50


async def test_of_two_snapshots_of_one_time_the_larger_counts(books: Books, apple: Sale) -> None:
    buyer = await books.profile()
    await books.apply_one(apple.sold(buyer))
    await books.apply_one(apple.reversed(25_000, LATER))
    await books.apply(apple.reversed(50_000, LATER), apple.reversed(100_000, LATER))
    await books.apply_one(apple.reversed(0, LATER))
    assert await status(books, apple) == ("refunded", 100)


@pytest.mark.parametrize(
    ("quantity", "milli_percent", "taken"),
    [
        (3, 33_333, 7),
        (3, 66_667, 14),
        (7, 14_286, 7),
        (9, 88_889, 56),
        (1, 12_345, 0),
        (3, 99_999, 20),
    ],
)
async def test_a_rounded_percentage_is_a_whole_number_of_units(
    books: Books, apple: Sale, quantity: int, milli_percent: int, taken: int
) -> None:
    buyer = await books.profile()
    await books.apply_one(apple.sold(buyer, item(SEVEN, units=quantity)))
    await books.apply_one(apple.reversed(milli_percent, LATER, quantity=quantity))
    assert await status(books, apple) == ("confirmed", taken)


async def test_what_cost_nothing_at_a_store_is_reversed_too(books: Books, apple: Sale) -> None:
    buyer = await books.profile()
    await books.apply_one(apple.sold(buyer, amount_minor=0, currency="usd"))
    await books.apply_one(apple.reversed(100_000, LATER))
    assert await status(books, apple) == ("refunded", 100)


async def test_googles_largest_reversal_counts_and_never_goes_down(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    await books.apply_one(google.sold(buyer, units=4, back=0))
    await books.apply_one(google.sold(buyer, units=4, back=3))
    await books.apply_one(google.sold(buyer, units=4, back=1, told_at=LATER))
    assert await status(books, google) == ("confirmed", 300)
    await books.apply_one(google.sold(buyer, units=4, reversed_milli_percent=100_000))
    assert await status(books, google) == ("refunded", 400)
    await books.apply_one(google.sold(buyer, units=4, told_at=LATER + timedelta(hours=1)))
    assert await status(books, google) == ("refunded", 400)


async def test_each_line_item_is_reversed_by_its_own_coins(books: Books, google: Sale) -> None:
    buyer = await books.profile()
    items = item(units=2, back=1), item(SEVEN, units=3, back=2)
    await books.apply_one(google.sold(buyer, *items))
    assert await status(books, google) == ("confirmed", 114)


async def test_a_voided_record_counts_once_and_only_where_no_snapshot_says_more(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    await books.apply_one(google.sold(buyer, units=4))
    first, second = google.voided(1), google.voided(1, LATER)
    await books.apply(first, first, second)
    await books.apply_one(first)
    assert await status(books, google) == ("confirmed", 200)
    await books.apply_one(google.sold(buyer, units=4, back=3))
    assert await status(books, google) == ("confirmed", 300)
    await books.apply_one(google.voided(None, LATER))
    assert await status(books, google) == ("refunded", 400)


async def test_a_reversal_before_its_purchase_waits_and_is_applied_with_it(
    books: Books, sale: Sale
) -> None:
    buyer = await books.profile()
    back = sale.reversed(50_000, LATER) if sale.provider == "apple" else sale.voided(1)
    (event_id,) = await books.receive(back)
    assert await books.work() == {event_id: NO_PURCHASE_YET}
    assert await books.apply_one(sale.sold(buyer, units=2)) == APPLIED
    assert await books.outcome(event_id) == APPLIED
    assert await status(books, sale) == ("confirmed", 100)


async def test_a_reversal_without_a_purchase_is_rejected_after_35_days(
    books: Books, sale: Sale
) -> None:
    (event_id,) = await books.receive(sale.reversed(50_000))
    await books.work()
    books.wait(days=35)
    await books.wake()
    assert await books.work() == {event_id: Outcome("rejected", "no_purchase")}


async def test_what_was_reversed_whole_before_its_grant_ends_refunded(
    books: Books, sale: Sale
) -> None:
    buyer = await books.profile()
    assert await books.apply_one(sale.sold(buyer, reversed_milli_percent=100_000)) == APPLIED
    assert await status(books, sale) == ("refunded", 100)
    assert await books.coins(buyer) == 0
    assert await calls(books.db, sale) == []


async def test_a_held_purchase_that_is_reversed_whole_is_closed(books: Books, sale: Sale) -> None:
    buyer = await books.profile()
    (event_id,) = await books.receive(sale.sold(buyer, units=30_000))
    await books.work()
    back = sale.reversed(100_000, LATER) if sale.provider == "apple" else sale.voided(None)
    assert await books.apply_one(back) == APPLIED
    assert await books.outcome(event_id) == Outcome("applied", "refunded_while_held")


async def test_a_purchase_without_a_buyer_that_is_reversed_whole_is_closed(
    books: Books, sale: Sale
) -> None:
    (event_id,) = await books.receive(sale.sold(None, buyer_unreadable=True))
    await books.work()
    back = sale.reversed(100_000, LATER) if sale.provider == "apple" else sale.voided(None)
    assert await books.apply_one(back) == APPLIED
    assert await books.outcome(event_id) == Outcome("applied", "refunded_while_held")


async def test_spent_coins_of_a_store_become_a_debt(books: Books, sale: Sale) -> None:
    buyer, streamer = await books.profiles(2)
    await books.apply_one(sale.sold(buyer))
    await books.apply_one(gift(buyer, streamer, 80))
    await books.apply_one(sale.reversed(100_000, LATER))
    assert await books.coins(buyer) == -80


async def test_a_void_that_names_only_the_order_finds_its_purchase(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    early = google.voided(1, payment_keys=[google.order])
    assert await books.apply_one(early) == NO_PURCHASE_YET
    token_only = google.sold(buyer, units=2, payment_keys=[google.name])
    assert await books.apply_one(token_only) == APPLIED
    assert await status(books, google) == ("confirmed", 0)
    await books.apply_one(google.sold(buyer, units=2))
    assert await status(books, google) == ("confirmed", 100)


async def test_a_voided_record_without_a_product_takes_the_cheapest(
    books: Books, google: Sale
) -> None:
    buyer = await books.profile()
    await books.apply_one(google.sold(buyer, item(units=2), item(SEVEN, units=2)))
    await books.apply_one(google.voided(1))
    assert await status(books, google) == ("confirmed", 7)
    await books.apply_one(google.voided(3, LATER))
    assert await status(books, google) == ("refunded", 214)
