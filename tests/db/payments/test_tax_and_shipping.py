"""Prices with tax and shipping: only a session names them, and its intent waits for it."""

from __future__ import annotations

from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from tests.db.books import APPLIED, COINS, DUPLICATE, Books, Outcome, Payment
from tests.db.payments.halves import (
    BATCHES,
    NO_SESSION_YET,
    NOT_OURS,
    ORDERS,
    UNKNOWN_BUYER,
    UNKNOWN_PRODUCT,
    WRONG_AMOUNT,
    apply_in,
    in_order,
    intent,
    session,
    without_ours,
)

PRICES = [
    (119, (19,), APPLIED),
    (100, (16,), APPLIED),
    (100, (), APPLIED),
    (600, (500,), APPLIED),
    (695, (500, 595), APPLIED),
    (785, (500, 685), APPLIED),
    (119, (), WRONG_AMOUNT),
    (119, (18,), WRONG_AMOUNT),
    (99, (), WRONG_AMOUNT),
    # A discount is no deduction: 81 + 19 tax is less than the price.
    (90, (10,), WRONG_AMOUNT),
    (619, (500,), WRONG_AMOUNT),
    (0, (), WRONG_AMOUNT),
]


async def test_a_price_matches_with_or_without_what_a_session_sets_apart(books: Books) -> None:
    for total, deductions, outcome in PRICES:
        buyer, payment = await books.profile(), Payment()
        told = session(
            payment, buyer, sku="coins_100", amount_minor=total, deductions_minor=deductions
        )
        assert await books.apply_one(told) == outcome
        assert await books.coins(buyer) == (COINS if outcome == APPLIED else 0)
        bought = await books.purchase(payment)
        assert (bought["amount_minor"], str(bought["usd_amount"])) == (total, f"{total / 100:.2f}")


async def test_refunds_divide_by_the_whole_total(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(
        session(payment, buyer, sku="coins_100", amount_minor=200, deductions_minor=(100,))
    )
    await books.apply_one(payment.refund(100))
    assert await books.coins(buyer) == 50
    await books.apply_one(payment.refund(100, "rest"))
    assert (await books.coins(buyer), await books.status(payment)) == (0, "refunded")


async def test_dollar_rules_use_the_whole_total(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    told = payment.bought(
        buyer, units=25_000, amount_minor=25_000_01, deductions_minor=(1,), told_by="session"
    )
    assert await books.apply_one(told) == Outcome("held", "needs_approval")


async def test_a_deduction_in_another_currency_counts_for_nothing(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (
        intent(payment, buyer, sku="coins_100", amount_minor=119),
        without_ours(payment, deductions_minor=(19,), currency="eur"),
    )
    assert sorted(await apply_in(books, "two batches", *facts), key=str) == [WRONG_AMOUNT, NOT_OURS]


@pytest.mark.long_but_first
@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_an_intent_with_tax_is_granted_with_its_session(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    for (total, deductions), told in product(
        ((119, (19,)), (100, (16,)), (719, (600, 619))), ("whole", "buyer", "sku", "nothing")
    ):
        buyer, payment = await books.profile(), Payment()
        apart: dict[str, Any] = {"amount_minor": total, "deductions_minor": deductions}
        its_session = {
            "whole": session(payment, buyer, sku="coins_100", **apart),
            "buyer": session(payment, buyer, **apart),
            "sku": session(payment, sku="coins_100", **apart),
            "nothing": without_ours(payment, deductions_minor=deductions),
        }[told]
        its_intent = intent(payment, buyer, sku="coins_100", amount_minor=total)
        outcomes = await apply_in(books, batches, *in_order(order, its_intent, its_session))
        other = NOT_OURS if told == "nothing" else DUPLICATE
        assert sorted(outcomes, key=str) == sorted([APPLIED, other], key=str)
        assert await books.coins(buyer) == COINS
        assert (await books.purchase(payment))["amount_minor"] == total


async def test_an_intent_of_a_wrong_amount_waits_15_minutes_for_its_session(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    (early,) = await books.receive(intent(payment, buyer, sku="coins_100", amount_minor=119))
    assert await books.work() == {early: NO_SESSION_YET}
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 0
    books.wait(minutes=14, seconds=59)
    assert await books.wake() == 0
    await books.try_again(early)
    assert await books.work() == {early: NO_SESSION_YET}
    books.wait(seconds=1)
    assert await books.wake() == 1
    assert await books.work() == {early: WRONG_AMOUNT}
    assert await books.status(payment) == "pending"


async def test_two_intents_of_a_wrong_amount_wait_both(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    told = intent(payment, buyer, sku="coins_100", amount_minor=119)
    assert await books.apply(told, told) == [NO_SESSION_YET] * 2
    books.wait(minutes=15)
    await books.wake()
    assert sorted((await books.work()).values(), key=str) == [DUPLICATE, WRONG_AMOUNT]


@pytest.mark.parametrize("ours", [True, False])
async def test_an_intent_whose_session_explains_nothing_is_held_at_once(
    books: Books, *, ours: bool
) -> None:
    buyer, payment = await books.profile(), Payment()
    wrong = intent(payment, buyer, sku="coins_100", amount_minor=119)
    explains_nothing = session(payment, buyer, amount_minor=119) if ours else without_ours(payment)
    other = DUPLICATE if ours else NOT_OURS
    assert await apply_in(books, "two batches", wrong, explains_nothing) == (
        [DUPLICATE, WRONG_AMOUNT] if ours else [WRONG_AMOUNT, other]
    )
    # In one batch with both, nothing waits.
    payment = Payment()
    wrong = intent(payment, buyer, sku="coins_100", amount_minor=119)
    explains_nothing = session(payment, buyer, amount_minor=119) if ours else without_ours(payment)
    assert WRONG_AMOUNT in await books.apply(wrong, explains_nothing)


async def test_only_a_wrong_amount_waits_for_a_session(books: Books) -> None:
    buyer = await books.profile()
    assert await books.apply(
        intent(Payment(), buyer, sku="nothing"),
        intent(Payment(), buyer, sku="coins_100", quantity=30_000, amount_minor=30_000_00),
        intent(Payment(), uuid4(), sku="coins_100", amount_minor=119),
    ) == [UNKNOWN_PRODUCT, Outcome("held", "needs_approval"), UNKNOWN_BUYER]


async def test_two_held_purchases_of_one_payment_are_left_to_a_person(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    name = f"cs_{payment.number}"
    named: dict[str, Any] = {
        "provider_payment_id": name,
        "payment_keys": [name],
        "told_by": "session",
    }
    held = await books.receive(
        payment.bought(buyer, amount_minor=119), payment.bought(buyer, amount_minor=119, **named)
    )
    assert set((await books.work()).values()) == {Outcome("held", "wrong_amount")}
    # What the last one tells explains the amount of both.
    named["payment_keys"] = [payment.intent, name]
    told = payment.bought(buyer, amount_minor=119, deductions_minor=(19,), **named)
    assert await books.apply_one(told) == DUPLICATE
    assert {await books.outcome(event) for event in held} == {Outcome("held", "wrong_amount")}
    assert await books.coins(buyer) == 0
