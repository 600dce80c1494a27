"""Which refunds count: by their times and what was captured, in any order of events.

A payment is 1,000 coins for 10.00, so a cent is a coin.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import APPLIED, Books, Payment
from tests.db.reversals.sequences import (
    LOST,
    EventSequence,
    bought,
    dispute,
    endings_of,
    left,
    refund,
    set_rate,
    short_endings_of,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.facts import Fact

pytestmark = pytest.mark.requirement("C6")

# A refund that failed and its successor


REFUNDS: list[tuple[EventSequence, int]] = [
    # It failed, and another one replaced it.
    ([total(1_000, 1), refund(1_000, 2, status="failed"), total(1_000, 3)], 0),
    ([total(400, 1), refund(400, 2, status="failed"), total(300, 3)], 700),
    ([total(400, 1), refund(400, 2, status="canceled"), total(300, 3)], 700),
    # Nothing has replaced it yet.
    ([total(1_000, 1), refund(1_000, 2, status="failed")], 1_000),
    ([total(1_000, 1), refund(1_000, 2, status="failed"), total(0, 3)], 1_000),
    # It was reported again later, as after a change of its metadata.
    (
        [
            *(total(1_000, 1), refund(1_000, 2, status="failed"), total(1_000, 3)),
            refund(1_000, 9, status="failed"),
        ],
        0,
    ),
    # The total never contained it: it was made later.
    ([total(400, 1), refund(600, 3, status="failed", made=2)], 600),
    ([total(400, 2), refund(600, 3, no="b", status="failed", made=3)], 600),
    # Nor if it had failed by then, or in the same second.
    ([refund(600, 2, status="failed"), total(400, 2)], 600),
    # One fails while another stays valid.
    ([total(700, 3), refund(300, 2), refund(400, 4, no="b", status="failed", made=3)], 700),
    # A second one failed, too.
    (
        [
            *(total(1_000, 1), refund(1_000, 2, status="failed"), total(1_000, 4)),
            refund(1_000, 5, no="b", status="failed", made=3),
        ],
        1_000,
    ),
    # The successor is reported only by its id.
    (
        [total(400, 1), refund(400, 2, status="failed"), refund(300, 4, no="b", made=3)],
        700,
    ),
    # Succeeded, and reported as pending in the same second: the furthest status counts.
    ([refund(400, 3, status="failed"), refund(400, 1, status="pending")], 1_000),
    # Also if the older event says that it was made earlier, or that it was more.
    ([refund(400, 3, status="failed", made=3), refund(400, 1, status="pending")], 1_000),
    ([refund(400, 3, status="failed"), refund(500, 1, status="pending")], 1_000),
    # It failed when the first event says so, and was made when the first one says so.
    ([refund(400, 2, status="failed"), total(400, 3), refund(500, 5, status="failed")], 600),
    ([total(400, 2), refund(400, 3, made=3), refund(400, 4, status="failed", made=1)], 1_000),
    # Of two totals of one second the larger.
    ([total(700, 1), total(300, 1)], 300),
]


@pytest.mark.parametrize(("events", "coins"), REFUNDS)
async def test_which_refunds_of_a_payment_count(
    books: Books, events: EventSequence, coins: int
) -> None:
    status = "confirmed" if coins else "refunded"
    assert await short_endings_of(books, events) == {(coins, status)}


@pytest.mark.long_but_first
@pytest.mark.parametrize(("events", "coins"), REFUNDS)
async def test_a_failed_refund_takes_nothing_and_its_successor_does(
    books: Books, events: EventSequence, coins: int
) -> None:
    status = "confirmed" if coins else "refunded"
    assert await endings_of(books, events) == {(coins, status)}


async def test_a_failure_told_by_an_earlier_event_counts_from_then(books: Books) -> None:
    payment = await bought(books)
    late, early = refund(400, 5, status="failed"), refund(400, 2, status="failed")
    await books.apply(total(400, 3)(payment), late(payment))
    assert await left(books, payment) == (1_000, "confirmed")
    # It had failed before the total was reported, which therefore contains another refund.
    await books.apply_one(early(payment))
    assert await left(books, payment) == (600, "confirmed")


# What was never captured


UNCAPTURED: list[tuple[EventSequence, int]] = [
    ([total(750, 2, 500)], 750),
    ([total(500, 1, 500)], 1_000),
    ([total(1_500, 2, 500)], 0),
    ([total(500, 1, 500), total(750, 2, 500)], 750),
    # The rest that was released is reported with an id of its own, or not at all.
    ([total(750, 2, 500), refund(500, 1, no="rest"), refund(250, 2)], 750),
    ([total(750, 2, 500), refund(250, 2)], 750),
    ([total(500, 1, 500), refund(500, 1, no="rest")], 1_000),
    ([total(750, 2, 500), refund(500, 1, no="rest")], 750),
    # A refund after a partial capture failed.
    ([total(750, 2, 500), refund(250, 3, status="failed", made=2)], 1_000),
    ([total(750, 2, 500), refund(250, 3, status="failed", made=2), total(750, 4, 500)], 750),
    # Not reported, or zero: all was captured.
    ([total(750, 2, None)], 250),
    ([total(750, 2, 0)], 250),
    # More was captured after that.
    ([total(500, 1, 500), total(500, 2, 250)], 750),
    ([total(500, 1, 500), total(500, 1, 250)], 750),
    # Less was refunded than was never captured: that pays no part of a dispute.
    ([total(250, 1, 500), dispute(-400, minor=400, status="needs_response", minute=2)], 600),
]


@pytest.mark.parametrize(("events", "coins"), UNCAPTURED)
async def test_what_was_captured_of_a_payment_counts(
    books: Books, events: EventSequence, coins: int
) -> None:
    status = "confirmed" if coins else "refunded"
    assert await short_endings_of(books, events) == {(coins, status)}


@pytest.mark.long_but_first
@pytest.mark.parametrize(("events", "coins"), UNCAPTURED)
async def test_what_was_never_captured_is_no_refund(
    books: Books, events: EventSequence, coins: int
) -> None:
    status = "confirmed" if coins else "refunded"
    assert await endings_of(books, events) == {(coins, status)}


# A direct call names dollars


@pytest.mark.parametrize(("minor", "coins"), [(920, 0), (460, 500), (1, 999), (919, 2), (0, 1_000)])
async def test_a_refund_in_the_charges_currency_is_a_part_of_what_was_charged(
    books: Books, minor: int, coins: int
) -> None:
    for early in (True, False):
        payment, buyer = Payment(), await books.profile()
        told = payment.refunded_so_far(minor, amount_minor=920, currency="eur", uncaptured_minor=0)
        if early:
            await books.apply_one(told)
        await books.db.execute(
            "select public.process_coin_purchase($1, 'stripe', $2, $3, 1000, 10.00)",
            buyer,
            f"evt_{payment.intent}",
            payment.intent,
        )
        await books.apply(told, payment.refund(minor))
        await books.apply(payment.dispute(920, -1_000, 1_000, status="won", currency="eur"))
        assert await books.coins(buyer) == coins
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
        # The same ratio of the whole, in another currency.
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
