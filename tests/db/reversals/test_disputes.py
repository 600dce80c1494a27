"""Disputes: how many coins they take, by status, transactions and currency.

A payment is 1,000 coins for 10.00, so a cent is a coin.
"""

from __future__ import annotations

import pytest

from db.facts import DisputeTransaction
from tests.db.books import APPLIED, Books, Outcome, Payment
from tests.db.reversals.sequences import (
    LOST,
    WON,
    EventSequence,
    at,
    bought,
    dispute,
    endings_of,
    left,
    refund,
    set_rate,
)

pytestmark = pytest.mark.requirement("C6")

NO_RATE = Outcome("applied", "no_fx_rate")

# Disputes


@pytest.mark.parametrize(
    ("events", "coins"),
    [
        # A conversion there and back leaves no round numbers.
        ([LOST(-1_000, 20)], 0),
        ([WON(-1_080, 1_062)], 1_000),
        ([LOST(-1_080, 54)], 0),
        ([LOST(-1_000, 50)], 0),
        ([LOST(-1_000, 51)], 51),
        ([LOST(-1_000, 600)], 600),
        ([LOST(-1_000, 1_000)], 1_000),
        ([LOST(-1_000, 1_000, -1_000)], 0),
        ([LOST()], 0),
        ([WON()], 1_000),
        ([WON(-1_000)], 1_000),
        ([dispute(-1_000, status="prevented")], 1_000),
        ([dispute(-1_000, status="warning_closed")], 1_000),
        ([dispute(status="warning_needs_response")], 1_000),
        ([dispute(status="warning_under_review")], 1_000),
        ([dispute(-1_000, status="needs_response")], 0),
        ([dispute(-1_000, 20, status="under_review")], 20),
        ([dispute(-1_000, status="unknown")], 0),
        ([dispute(-1_000, 1_000, status="unknown")], 1_000),
        # The newest event counts.
        ([dispute(-1_000, minute=1), WON(-1_000, 990, minute=2)], 1_000),
        ([WON(-1_000, 990, minute=2), dispute(-1_000, 990, minute=3)], 990),
        ([WON(-1_000, minute=2), LOST(-1_000, minute=3)], 0),
        ([LOST(-1_000, minute=2), WON(-1_000, minute=3)], 1_000),
        # In one second closed beats open, and lost beats won.
        ([dispute(-1_000, status="needs_response"), WON(-1_000, 990)], 1_000),
        ([dispute(status="warning_under_review"), LOST(-1_000)], 0),
        ([WON(-1_000), LOST(-1_000)], 0),
        # Part of the payment; the amount of the newest event.
        ([LOST(-400, minor=400)], 600),
        # One that names no currency is in the payment's.
        ([LOST(-400, minor=400, currency=None)], 600),
        ([dispute(minor=1_000, status="warning_closed"), LOST(-400, minor=400, minute=2)], 600),
        # What was withdrawn twice is out once, and more than was withdrawn does not come back.
        ([dispute(-400, -400, minor=400)], 600),
        ([dispute(-1_000, 1_020), refund(600, 2)], 400),
        # Together with a refund.
        ([LOST(-400, 8, minor=400), refund(600, 2)], 0),
        ([WON(-400, 392, minor=400), refund(600, 2)], 400),
    ],
)
async def test_a_dispute_takes_what_its_newest_status_says(
    books: Books, events: EventSequence, coins: int
) -> None:
    is_lost = coins == 0
    expected = (coins, "chargeback" if is_lost else "confirmed")
    assert await endings_of(books, events) == {expected}


@pytest.mark.parametrize(
    ("second", "coins"), [((-1_000, "usd"), 0), ((920, "eur"), 0), ((1_000, "usd"), 1_000)]
)
async def test_what_comes_back_in_another_currency_is_out_until_it_is_won(
    books: Books, second: tuple[int, str], coins: int
) -> None:
    moved = [("txn_1", -1_000, "usd"), ("txn_2", *second)]
    transactions = [DisputeTransaction(id=no, amount=n, currency=c) for no, n, c in moved]
    payment = await bought(books)
    await books.apply_one(dispute(transactions=transactions)(payment))
    assert (await left(books, payment))[0] == coins
    await books.apply_one(WON(transactions=transactions, minute=2)(payment))
    assert (await left(books, payment))[0] == 1_000


async def test_what_is_out_in_one_of_two_currencies_is_out(books: Books) -> None:
    moved = [("txn_1", -1_000, "usd"), ("txn_2", 1_000, "usd"), ("txn_3", -920, "eur")]
    transactions = [DisputeTransaction(id=no, amount=n, currency=c) for no, n, c in moved]
    payment = await bought(books)
    await books.apply_one(dispute(transactions=transactions)(payment))
    assert await left(books, payment) == (0, "chargeback")


# Disputes in another currency


@pytest.mark.parametrize(
    ("currency", "minor", "rate", "coins"),
    [
        ("eur", 920, "1.0870", 0),
        ("eur", 920, "1.04", 0),
        ("eur", 920, "1.14", 0),
        ("eur", 460, "1.0870", 500),
        ("eur", 100, "1.0870", 892),
        ("jpy", 1_500, "0.0067", 0),
        ("jpy", 750, "0.0067", 498),
        ("kwd", 1_000, "3.25", 675),
    ],
)
async def test_a_dispute_in_another_currency_is_converted(
    books: Books, currency: str, minor: int, rate: str, coins: int
) -> None:
    await set_rate(books, currency, rate)
    events: EventSequence = [LOST(-minor, minor=minor, currency=currency)]
    assert {number for number, _ in await endings_of(books, events)} == {coins}


@pytest.mark.parametrize(("minor", "coins"), [(949, 526), (950, 500), (1_050, 500), (1_051, 475)])
async def test_within_a_twentieth_of_what_was_paid_is_the_whole(
    books: Books, minor: int, coins: int
) -> None:
    await set_rate(books, "eur", "1")
    payment = await bought(books)
    half = dispute(-1_000, 500, minor=minor, currency="eur", status="under_review")
    await books.apply_one(half(payment))
    assert await left(books, payment) == (coins, "confirmed")


async def test_a_payment_in_another_currency_is_disputed_in_its_own(books: Books) -> None:
    await set_rate(books, "eur", "1.1")
    await books.db.execute("update public.coin_packages set amount_minor = 100")
    payment = await bought(books, currency="eur", amount_minor=1_000)
    await books.apply_one(LOST(-400, minor=400, currency="eur")(payment))
    assert await left(books, payment) == (600, "confirmed")
    await books.apply_one(LOST(-550, minor=550, currency="usd", minute=2)(payment))
    assert await left(books, payment) == (500, "confirmed")


async def test_without_a_rate_the_whole_payment_is_disputed_and_the_event_says_so(
    books: Books,
) -> None:
    payment = await bought(books)
    assert await books.apply_one(LOST(-400, minor=400, currency="eur")(payment)) == NO_RATE
    assert await left(books, payment) == (0, "chargeback")
    won = WON(-400, 400, minor=400, currency="eur", minute=2)
    assert await books.apply_one(won(payment)) == APPLIED
    assert await left(books, payment) == (1_000, "confirmed")


@pytest.mark.parametrize("status", ["warning_needs_response", "needs_response", "won"])
async def test_without_a_rate_a_dispute_that_takes_nothing_is_no_alarm(
    books: Books, status: str
) -> None:
    payment = await bought(books)
    inquiry = dispute(status=status, minor=400, currency="eur")
    assert await books.apply_one(inquiry(payment)) == APPLIED
    assert await left(books, payment) == (1_000, "confirmed")


async def test_a_dispute_without_a_rate_is_reported_when_its_purchase_comes(books: Books) -> None:
    payment = Payment()
    (event_id,) = await books.receive(LOST(-400, minor=400, currency="eur")(payment))
    await books.work()
    await books.apply_one(payment.bought(await books.profile(), units=10))
    assert await left(books, payment) == (0, "chargeback")
    assert await books.work() == {event_id: NO_RATE}


async def test_a_rate_that_comes_later_counts_when_the_event_is_tried_again(books: Books) -> None:
    payment = await bought(books)
    event = LOST(-460, minor=460, currency="eur")
    (event_id,) = await books.receive(event(payment))
    await books.work()
    await set_rate(books, "eur", "1.087")
    await books.db.execute(
        "update fleet.inbox_events set state = 'pending' where id = $1", event_id
    )
    assert await books.work() == {event_id: APPLIED}
    assert await left(books, payment) == (500, "confirmed")


async def test_a_newer_rate_moves_no_coins(books: Books) -> None:
    payment = await bought(books)
    await set_rate(books, "eur", "1.087")
    await books.apply_one(LOST(-460, minor=460, currency="eur")(payment))
    await set_rate(books, "eur", "1.5", at(1))
    books.wait(minutes=2)
    await books.apply_one(LOST(-460, minor=460, currency="eur", minute=2)(payment))
    assert await left(books, payment) == (500, "confirmed")
    assert await books.breaches() == {}
