"""Which refunds and disputes count: by their times, status and currency, in any order of events.

A payment is 1,000 coins for 10.00, so a cent is a coin.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from db.facts import DisputeTransaction
from tests.db.books import APPLIED, NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from db.facts import Fact

NO_RATE = Outcome("applied", "no_fx_rate")
Story = list["Callable[[Payment], Fact]"]


def at(minute: int) -> datetime:
    """A provider's time."""
    return NOON + timedelta(minutes=minute)


def total(minor: int, minute: int, uncaptured: int | None = None) -> Callable[[Payment], Fact]:
    """So much was refunded in all by then."""
    return lambda payment: payment.refunded_so_far(
        minor, told_at=at(minute), uncaptured_minor=uncaptured
    )


def refund(
    minor: int, minute: int, *, no: str = "a", status: str = "succeeded", made: int = 1
) -> Callable[[Payment], Fact]:
    """One refund, as told at that minute."""
    return lambda payment: payment.refund(
        minor, f"re_{no}", status, told_at=at(minute), refund_created_at=at(made)
    )


def dispute(
    *moved: int, minute: int = 1, minor: int = 1_000, **changes: Any
) -> Callable[[Payment], Fact]:
    """A dispute, as told at that minute."""
    return lambda payment: payment.dispute(minor, *moved, told_at=at(minute), **changes)


async def bought(books: Books, **changes: Any) -> Payment:
    """Somebody's payment of 10.00 for 1,000 coins."""
    payment = Payment()
    await books.apply_one(payment.bought(await books.profile(), units=10, **changes))
    return payment


async def left(books: Books, payment: Payment) -> tuple[int, str]:
    """What the buyer has left, and the status."""
    purchase = await books.purchase(payment)
    return await books.coins(purchase["profile_id"]), purchase["status"]


async def ends(books: Books, story: Story) -> set[tuple[int, str]]:
    """All the ways in which a story ends: in any order, in one batch, told twice, told early."""
    endings = set()
    orders = list(permutations(story))
    orders = orders[:: max(1, len(orders) // 6)]
    for no, order in enumerate(orders):
        payment = await bought(books)
        for event in order:
            await books.apply(event(payment))
            if no % 3 == 0:
                await books.apply(event(payment))
        endings.add(await left(books, payment))
    together = await bought(books)
    shuffled = Random(0).sample(story * 2, len(story) * 2)
    await books.apply(*[event(together) for event in shuffled])
    endings.add(await left(books, together))
    early = Payment()
    await books.apply(*[event(early) for event in story])
    await books.apply_one(early.bought(await books.profile(), units=10))
    endings.add(await left(books, early))
    assert await books.breaches() == {}
    return endings


# A refund that failed and its successor


@pytest.mark.parametrize(
    ("story", "coins"),
    [
        # It failed, and another one replaced it.
        ([total(1_000, 1), refund(1_000, 2, status="failed"), total(1_000, 3)], 0),
        ([total(400, 1), refund(400, 2, status="failed"), total(300, 3)], 700),
        ([total(400, 1), refund(400, 2, status="canceled"), total(300, 3)], 700),
        # Nothing has replaced it yet.
        ([total(1_000, 1), refund(1_000, 2, status="failed")], 1_000),
        ([total(1_000, 1), refund(1_000, 2, status="failed"), total(0, 3)], 1_000),
        # It was told again later, as when its metadata changed.
        (
            [
                *(total(1_000, 1), refund(1_000, 2, status="failed"), total(1_000, 3)),
                refund(1_000, 9, status="failed"),
            ],
            0,
        ),
        # The cumulative never held it: it was made later.
        ([total(400, 1), refund(600, 3, status="failed", made=2)], 600),
        ([total(400, 2), refund(600, 3, no="b", status="failed", made=3)], 600),
        # Nor if it had failed by then, in the same second included.
        ([refund(600, 2, status="failed"), total(400, 2)], 600),
        # One fails while another stands.
        ([total(700, 3), refund(300, 2), refund(400, 4, no="b", status="failed", made=3)], 700),
        # A second one failed, too.
        (
            [
                *(total(1_000, 1), refund(1_000, 2, status="failed"), total(1_000, 4)),
                refund(1_000, 5, no="b", status="failed", made=3),
            ],
            1_000,
        ),
        # The successor is told by its id alone.
        (
            [total(400, 1), refund(400, 2, status="failed"), refund(300, 4, no="b", made=3)],
            700,
        ),
        # Refunded in a second only, then told to be on its way: the furthest status counts.
        ([refund(400, 3, status="failed"), refund(400, 1, status="pending")], 1_000),
    ],
)
async def test_a_failed_refund_takes_nothing_and_its_successor_does(
    books: Books, story: Story, coins: int
) -> None:
    status = "confirmed" if coins else "refunded"
    assert await ends(books, story) == {(coins, status)}


async def test_a_failure_told_by_an_earlier_event_counts_from_then(books: Books) -> None:
    payment = await bought(books)
    late, early = refund(400, 5, status="failed"), refund(400, 2, status="failed")
    await books.apply(total(400, 3)(payment), late(payment))
    assert await left(books, payment) == (1_000, "confirmed")
    # It had failed before the cumulative was told, which therefore is of another refund.
    await books.apply_one(early(payment))
    assert await left(books, payment) == (600, "confirmed")


# What was never captured


@pytest.mark.parametrize(
    ("story", "coins"),
    [
        ([total(750, 2, 500)], 750),
        ([total(500, 1, 500)], 1_000),
        ([total(1_500, 2, 500)], 0),
        ([total(500, 1, 500), total(750, 2, 500)], 750),
        # The released rest is told by an id of its own, or isn't.
        ([total(750, 2, 500), refund(500, 1, no="rest"), refund(250, 2)], 750),
        ([total(750, 2, 500), refund(250, 2)], 750),
        ([total(500, 1, 500), refund(500, 1, no="rest")], 1_000),
        ([total(750, 2, 500), refund(500, 1, no="rest")], 750),
        # A refund after a partial capture failed.
        ([total(750, 2, 500), refund(250, 3, status="failed", made=2)], 1_000),
        ([total(750, 2, 500), refund(250, 3, status="failed", made=2), total(750, 4, 500)], 750),
        # Not told, or nothing: all was captured.
        ([total(750, 2, None)], 250),
        ([total(750, 2, 0)], 250),
        # More was captured since.
        ([total(500, 1, 500), total(500, 2, 250)], 750),
    ],
)
async def test_what_was_never_captured_is_no_refund(books: Books, story: Story, coins: int) -> None:
    status = "confirmed" if coins else "refunded"
    assert await ends(books, story) == {(coins, status)}


# Disputes


LOST, WON = partial(dispute, status="lost"), partial(dispute, status="won")


@pytest.mark.parametrize(
    ("story", "coins"),
    [
        # A conversion there and back gives no round numbers.
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
        ([dispute(minor=1_000, status="warning_closed"), LOST(-400, minor=400, minute=2)], 600),
        # Beside a refund.
        ([LOST(-400, 8, minor=400), refund(600, 2)], 0),
        ([WON(-400, 392, minor=400), refund(600, 2)], 400),
    ],
)
async def test_a_dispute_takes_what_its_newest_status_says(
    books: Books, story: Story, coins: int
) -> None:
    is_lost = coins == 0
    expected = (coins, "chargeback" if is_lost else "confirmed")
    assert await ends(books, story) == {expected}


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


# Disputes in another currency


async def set_rate(books: Books, currency: str, usd: str, as_of: datetime = NOON) -> None:
    await books.db.execute(
        "insert into public.fx_rates (currency, usd_per_unit, as_of) values ($1, $2, $3)",
        currency,
        Decimal(usd),
        as_of,
    )


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
    story: Story = [LOST(-minor, minor=minor, currency=currency)]
    assert {number for number, _ in await ends(books, story)} == {coins}


async def test_a_payment_in_another_currency_is_disputed_in_its_own(books: Books) -> None:
    await set_rate(books, "eur", "1.1")
    await books.db.execute("update public.coin_packages set amount_minor = 100")
    payment = await bought(books, currency="eur", amount_minor=1_000)
    await books.apply_one(LOST(-400, minor=400, currency="eur")(payment))
    assert await left(books, payment) == (600, "confirmed")
    await books.apply_one(LOST(-550, minor=550, currency="usd", minute=2)(payment))
    assert await left(books, payment) == (500, "confirmed")


async def test_without_a_rate_the_whole_payment_is_disputed_and_said_so(books: Books) -> None:
    payment = await bought(books)
    assert await books.apply_one(LOST(-400, minor=400, currency="eur")(payment)) == NO_RATE
    assert await left(books, payment) == (0, "chargeback")
    won = WON(-400, 400, minor=400, currency="eur", minute=2)
    assert await books.apply_one(won(payment)) == APPLIED
    assert await left(books, payment) == (1_000, "confirmed")


async def test_a_dispute_without_a_rate_is_said_when_its_purchase_comes(books: Books) -> None:
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


# Exactness


@pytest.mark.parametrize(
    ("coins", "paid", "refunded", "kept"),
    [
        (1, 2**53, 2**53 - 1, 1),
        (1, 2**53, 2**53, 0),
        (2**53, 2**53, 2**53 - 1, 1),
        (2**53, 2**53, 1, 2**53 - 1),
        (2**53, 3, 1, 2**53 - 2**53 // 3),
        (2**63 - 1, 2**53, 2**53 - 1, 2**63 - 1 - (2**63 - 1) * (2**53 - 1) // 2**53),
        (7, 3, 2, 7 - 4),
    ],
)
async def test_coins_are_exact_whatever_their_number(
    books: Books, coins: int, paid: int, refunded: int, kept: int
) -> None:
    await books.db.execute("select fleet.configure(9999999999.99, 9999999998.99, 5, 4)")
    await books.db.execute(
        "insert into public.coin_packages (provider, sku, coin_amount, amount_minor, currency)"
        " values ('stripe', 'one', $1, $2, 'jpy')",
        coins,
        paid,
    )
    await set_rate(books, "jpy", "0.000001")
    for reversal in (
        refund(refunded, 1),
        total(refunded, 1),
        LOST(-refunded, minor=refunded, currency="jpy"),
        # As much of the whole by its ratio, in a currency of its own.
        dispute(-(2**53), 2**53 - refunded * (2**53 // paid), minor=paid, currency="jpy")
        if 2**53 % paid == 0
        else refund(refunded, 1),
    ):
        buyer, payment = await books.profile(), Payment()
        purchase = payment.bought(buyer, sku="one", amount_minor=paid, currency="jpy")
        assert await books.apply_one(purchase) == APPLIED
        await books.apply_one(reversal(payment))
        assert await books.coins(buyer) == kept
    assert await books.breaches() == {}


async def test_many_large_refunds_are_no_error(books: Books) -> None:
    payment = await bought(books)
    refunds = [refund(2**53, 1, no=str(no))(payment) for no in range(3_000)]
    assert set(await books.apply(*refunds[:500])) == {APPLIED}
    assert await left(books, payment) == (0, "refunded")


async def test_what_cost_nothing_has_nothing_to_give_back(books: Books) -> None:
    await books.db.execute("update public.coin_packages set amount_minor = 0")
    payment = await bought(books, amount_minor=0)
    await books.apply(total(0, 1)(payment), refund(0, 1)(payment), LOST(minor=0)(payment))
    assert await left(books, payment) == (1_000, "confirmed")
    assert await books.breaches() == {}


# Two names of a payment that join


async def test_what_two_names_of_a_payment_were_told_counts_when_they_join(books: Books) -> None:
    def under(name: str, payment: Payment) -> list[str]:
        return [f"{name}_{payment.number}"]

    told: Sequence[tuple[str, str, int, int, int | None]] = (
        ("total", "pi", 400, 1, None),
        ("total", "ch", 300, 3, None),
        ("failed", "pi", 400, 2, None),
    )
    for order in permutations(told):
        payment = Payment()
        for kind, name, minor, minute, _ in order:
            event = (
                total(minor, minute)
                if kind == "total"
                else refund(minor, minute, status="failed", made=0)
            )
            fact = event(payment)
            await books.apply(type(fact)(**_fields(fact) | {"payment_keys": under(name, payment)}))
        await books.apply_one(payment.bought(await books.profile(), units=10))
        assert await left(books, payment) == (700, "confirmed")
        assert await books.breaches() == {}


def _fields(fact: Fact) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in fact.__struct_fields__}
