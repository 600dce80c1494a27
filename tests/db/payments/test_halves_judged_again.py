"""Payments that are held for the amount of one half are judged again with the other half."""

from __future__ import annotations

import pytest

from tests.db.books import APPLIED, COINS, PRICE_MINOR, Books, Outcome, Payment
from tests.db.payments.halves import NOT_OURS, WRONG_AMOUNT, apply_in, intent, session, without_ours


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
