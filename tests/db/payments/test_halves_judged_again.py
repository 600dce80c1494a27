"""Payments that are held for the amount of one half are judged again with the other half."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from db.facts import Names
from tests.db.books import APPLIED, COINS, DUPLICATE, PRICE_MINOR, Books, Outcome, Payment
from tests.db.payments.halves import (
    NOT_OURS,
    ORDERS,
    WRONG_AMOUNT,
    apply_in,
    in_order,
    intent,
    session,
    without_ours,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from db.facts import Fact, Purchase


@pytest.mark.parametrize(
    ("units", "outcome"),
    [
        (25_001, Outcome("held", "needs_approval")),
        (50_001, Outcome("held", "over_limit")),
    ],
)
async def test_what_is_judged_again_keeps_to_the_dollar_rules(
    books: Books, units: int, outcome: Outcome
) -> None:
    buyer, payment = await books.profile(), Payment()
    total = units * PRICE_MINOR
    facts = (
        intent(payment, buyer, sku="coins_100", amount_minor=total),
        without_ours(payment, quantity=units),
    )
    assert await apply_in(books, "after 15 minutes", *facts) == [outcome, NOT_OURS]
    assert await books.coins(buyer) == 0


async def test_velocity_counts_what_is_judged_again_once(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(intent(payment, buyer, sku="coins_100", amount_minor=200))
    await books.work()
    books.wait(minutes=15)
    await books.wake()
    assert await books.work() == {early: WRONG_AMOUNT}
    await books.apply(*(Payment().bought(buyer) for _ in range(4)))
    await books.apply_one(without_ours(payment, quantity=2))
    assert await books.outcome(early) == APPLIED
    assert await books.coins(buyer) == 6 * COINS


async def test_velocity_holds_what_is_judged_again(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(intent(payment, buyer, sku="coins_100", amount_minor=200))
    await books.work()
    await books.apply(*(Payment().bought(buyer) for _ in range(5)))
    books.wait(minutes=15)
    await books.wake()
    assert await books.work() == {early: WRONG_AMOUNT}
    await books.apply_one(without_ours(payment, quantity=2))
    assert await books.outcome(early) == Outcome("held", "velocity")


async def test_a_decision_is_not_undone_by_a_late_half(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(intent(payment, buyer, sku="coins_100", amount_minor=200))
    await books.work()
    books.wait(minutes=15)
    await books.wake()
    await books.work()
    await books.db.execute(
        "select public.reject_coin_purchase(id, 'me', 'refused', true) from public.coin_purchases"
    )
    await books.apply_one(without_ours(payment, quantity=2))
    assert await books.outcome(early) == Outcome("rejected", "by_decision")
    assert await books.coins(buyer) == 0


async def test_a_held_event_of_a_wrong_amount_that_is_tried_again_is_judged_again(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    (held,) = await books.receive(session(payment, buyer, sku="coins_100", amount_minor=80))
    assert await books.work() == {held: WRONG_AMOUNT}
    await books.db.execute("update public.coin_packages set amount_minor = 80")
    await books.db.execute("update fleet.inbox_events set state = 'pending'")
    assert await books.work() == {held: APPLIED}
    assert await books.coins(buyer) == COINS


# Two names of a payment, of which one event tells that they are the same


def by_intent(payment: Payment) -> list[str]:
    return [payment.intent]


def by_session(payment: Payment) -> list[str]:
    return [f"cs_{payment.number}"]


def by_both(payment: Payment) -> list[str]:
    return [*by_intent(payment), *by_session(payment)]


def halves_apart(payment: Payment, buyer: UUID, on_intent: str, on_session: str) -> list[Purchase]:
    """Return an intent and a session of three units that share no name and name these."""
    return [
        half(
            payment,
            buyer if {"buyer", "reference"} & set(names.split()) else None,
            by_reference="reference" in names,
            sku="coins_100" if "sku" in names else None,
            quantity=3 if "quantity" in names else None,
            amount_minor=3 * PRICE_MINOR,
            payment_keys=keys,
            provider_payment_id=keys[0],
        )
        for half, names, keys in (
            (intent, on_intent, by_intent(payment)),
            (session, on_session, by_session(payment)),
        )
    ]


# What names both, and how much of 300 it takes back.
JOINED_BY: dict[str, tuple[Callable[[Payment], Fact], int]] = {
    "refund": (lambda payment: payment.refund(40, payment_keys=by_both(payment)), 40),
    "total": (lambda payment: payment.refunded_so_far(40, payment_keys=by_both(payment)), 40),
    "charge": (lambda payment: Names(payment_keys=by_both(payment)), 0),
}
HALVES_APART = [
    ("buyer", "sku quantity"),
    ("sku quantity", "buyer"),
    ("buyer quantity", "reference sku"),
    # These are purchases, held for their amount.
    ("buyer sku", "quantity"),
    ("quantity", "buyer sku"),
    ("buyer quantity", "buyer sku"),
]


async def judge(books: Books) -> None:
    """Judge again what can be, as housekeeping does."""
    await books.db.execute("select fleet.judge_holds_again(500, $1)", books.now)
    await books.work()


@pytest.mark.parametrize("joined_by", JOINED_BY)
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_halves_held_under_two_names_are_granted_when_the_names_join(
    books: Books, joined_by: str, order: tuple[int, int, int]
) -> None:
    joining, taken = JOINED_BY[joined_by]
    for on_intent, on_session in HALVES_APART:
        buyer, payment = await books.profile(), Payment()
        facts = [*halves_apart(payment, buyer, on_intent, on_session), joining(payment)]
        await apply_in(books, "after 15 minutes", *in_order(order, *facts))
        await judge(books)
        assert await books.coins(buyer) == 3 * COINS - taken, (on_intent, on_session)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("halves", HALVES_APART, ids=" and ".join)
async def test_halves_that_joined_and_that_nobody_judges_break_an_invariant(
    books: Books, halves: tuple[str, str], order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = in_order(order, *halves_apart(payment, buyer, *halves))
    await apply_in(books, "after 15 minutes", *facts)
    await books.db.execute("update public.profiles set created_at = now() - interval '31 min'")
    assert await books.breaches() == {}
    await books.apply_one(Names(payment_keys=by_both(payment)))
    assert set(await books.breaches()) == {"holds_have_their_reason"}
    await judge(books)
    assert await books.coins(buyer) == 3 * COINS
    outcomes = "select state, reason from fleet.inbox_events where reason is distinct from $1"
    rows = await books.db.fetch(outcomes, "names_only")
    assert sorted((tuple(row) for row in rows), key=str) == [DUPLICATE, APPLIED]


async def test_what_people_decided_under_one_name_stays_when_the_names_join(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = halves_apart(payment, buyer, "buyer sku", "quantity")
    held, _ = await apply_in(books, "after 15 minutes", *facts)
    assert held == WRONG_AMOUNT
    await books.db.execute(
        "select public.reject_coin_purchase(id, 'me', 'refused', true) from public.coin_purchases"
    )
    await books.apply_one(Names(payment_keys=by_both(payment)))
    await judge(books)
    assert await books.coins(buyer) == 0


async def test_halves_that_differ_stay_held_and_break_nothing(books: Books) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    facts = (intent(payment, buyer), session(payment, other, sku="coins_100"))
    await apply_in(books, "after 15 minutes", *facts)
    await books.db.execute("update public.profiles set created_at = now() - interval '31 min'")
    assert await books.breaches() == {}
