"""A session that is not paid yet counts as a half: money captured by hand has no later session."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from db.facts import Half, Names, Paid, Verdict
from tests.conditions import somebody_waits_for_a_lock
from tests.db.books import (
    APPLIED,
    COINS,
    DUPLICATE,
    NOON,
    PRICE_MINOR,
    SKU,
    Books,
    Outcome,
    Payment,
)
from tests.db.payments.halves import BATCHES, INCOMPLETE, NOT_OURS, WRONG_AMOUNT, apply_in

if TYPE_CHECKING:
    from uuid import UUID

    from db.facts import Fact, Purchase
    from tests.conftest import Connect

UNPAID = Outcome("ignored", "unpaid")


def unpaid(payment: Payment, **told: Any) -> Names:
    """Return a session that was completed, and is not paid yet."""
    half = Half(**{"told_by": "session", "currency": "usd"} | told)
    keys = [payment.intent, f"cs_{payment.number}"]
    return Names(payment_keys=keys, reason="unpaid", half=half)


def captured(payment: Payment, amount_minor: int = PRICE_MINOR, **told: Any) -> Verdict:
    """Return an intent without our metadata, which succeeded with so much received."""
    paid = Paid(amount_minor=amount_minor, currency="usd", purchased_at=NOON, country_code="DE")
    half = Half(told_by="intent", paid=paid, **told)
    return Verdict(state="ignored", reason="not_ours", payment_keys=payment.keys, half=half)


def paid_later(payment: Payment, buyer: UUID, **told: Any) -> Purchase:
    """Return the same session, which is paid now."""
    keys = [payment.intent, f"cs_{payment.number}"]
    return payment.bought(buyer, payment_keys=keys, told_by="session", **told)


ORDERS = list(permutations(range(2)))


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_a_captured_intent_is_what_its_unpaid_session_names(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts: list[Fact] = [unpaid(payment, profile_id=buyer, sku=SKU), captured(payment)]
    outcomes = await apply_in(books, batches, *(facts[no] for no in order))
    assert [outcomes[order.index(no)] for no in range(2)] == [UNPAID, APPLIED]
    assert await books.coins(buyer) == COINS
    purchase = await books.purchase(payment)
    assert (purchase["country_code"], purchase["purchased_at"]) == ("DE", NOON)
    assert await books.apply_one(payment.refund(40)) == APPLIED
    assert await books.coins(buyer) == 60
    assert not await books.breaches()


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_an_unpaid_session_completes_an_intent_that_tells_a_half(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    for on_session, on_intent, units in (
        ({"sku": SKU}, {"sku": None}, 1),
        ({"profile_id": True}, {"profile_id": None}, 1),
        ({"profile_id": True, "by_reference": True}, {"profile_id": None}, 1),
        ({"quantity": 3}, {"quantity": None}, 3),
        ({"deductions_minor": (19,)}, {"amount_minor": PRICE_MINOR + 19}, 1),
    ):
        buyer, payment = await books.profile(), Payment()
        told = {name: buyer if name == "profile_id" else on_session[name] for name in on_session}
        named = on_intent.get("profile_id", buyer)
        changes = {name: value for name, value in on_intent.items() if name != "profile_id"}
        intent = payment.bought(named, units=units, told_by="intent", **changes)
        facts: list[Fact] = [unpaid(payment, **told), intent]
        await apply_in(books, batches, *(facts[no] for no in order))
        assert await books.coins(buyer) == units * COINS, (on_session, on_intent)
    assert not await books.breaches()


@pytest.mark.parametrize("order", ORDERS)
async def test_what_was_captured_is_compared_with_the_price(
    books: Books, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts: list[Fact] = [unpaid(payment, profile_id=buyer, sku=SKU), captured(payment, 40)]
    outcomes = await apply_in(books, "two batches", *(facts[no] for no in order))
    assert outcomes[order.index(1)] == WRONG_AMOUNT
    assert await books.coins(buyer) == 0
    assert not await books.breaches()


REPLAY = "update fleet.inbox_events set state = 'pending', attempts = 0"


@pytest.mark.parametrize("amount_minor", [PRICE_MINOR, 40])
async def test_a_captured_intent_that_is_tried_again_stays_its_own_purchase(
    books: Books, amount_minor: int
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(unpaid(payment, profile_id=buyer, sku=SKU))
    (event_id,) = await books.receive(captured(payment, amount_minor))
    await books.work()
    books.wait(minutes=20)
    await books.db.execute(REPLAY)
    await books.work()
    expected = DUPLICATE if amount_minor == PRICE_MINOR else WRONG_AMOUNT
    assert await books.outcome(event_id) == expected
    assert not await books.breaches()


async def test_a_session_that_is_never_paid_grants_nothing(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    assert await books.apply_one(unpaid(payment, profile_id=buyer, sku=SKU)) == UNPAID
    books.wait(minutes=20)
    await books.wake()
    assert await books.work() == {}
    assert await books.coins(buyer) == 0
    assert not await books.breaches()


async def test_a_session_told_unpaid_and_paid_and_its_intent_are_granted_once(
    books: Books,
) -> None:
    for order in permutations(range(3)):
        for batches in BATCHES:
            buyer, payment = await books.profile(), Payment()
            facts: list[Fact] = [
                unpaid(payment, profile_id=buyer, sku=SKU),
                captured(payment),
                paid_later(payment, buyer),
            ]
            outcomes = await apply_in(books, batches, *(facts[no] for no in order))
            assert await books.coins(buyer) == COINS
            assert outcomes.count(APPLIED) == 1
            assert set(outcomes) <= {APPLIED, UNPAID, NOT_OURS, DUPLICATE}
    assert not await books.breaches()


@pytest.mark.parametrize("order", ORDERS)
async def test_an_unpaid_session_of_another_product_makes_no_payment_ours(
    books: Books, order: tuple[int, int]
) -> None:
    payment = Payment()
    facts: list[Fact] = [unpaid(payment, deductions_minor=(19,)), captured(payment)]
    outcomes = await apply_in(books, "two batches", *(facts[no] for no in order))
    assert [outcomes[order.index(no)] for no in range(2)] == [UNPAID, NOT_OURS]


async def test_a_captured_intent_waits_for_what_its_unpaid_session_leaves_out(
    books: Books,
) -> None:
    payment = Payment()
    await books.apply_one(unpaid(payment, sku=SKU))
    assert await books.apply_one(captured(payment)) == INCOMPLETE


async def test_a_captured_intent_whose_buyer_comes_later_is_judged_again(books: Books) -> None:
    buyer, payment = uuid4(), Payment()
    await books.apply_one(unpaid(payment, profile_id=buyer, sku=SKU))
    assert await books.apply_one(captured(payment)) == Outcome("held", "unknown_buyer")
    await books.db.execute("insert into auth.users (id) values ($1)", buyer)
    books.wait(minutes=2)
    assert await books.db.fetchval("select fleet.judge_holds_again(500, $1)", books.now) == 1
    await books.work()
    assert await books.coins(buyer) == COINS


@pytest.mark.parametrize("order", ORDERS)
async def test_a_payment_that_a_call_recorded_is_not_granted_by_its_intent_too(
    books: Books, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.db.execute(
        "select public.process_coin_purchase($1, 'stripe', $2, $3, 100, 1)",
        buyer,
        f"landing_{payment.number}",
        payment.intent,
    )
    facts: list[Fact] = [unpaid(payment, profile_id=buyer, sku=SKU), captured(payment)]
    outcomes = await apply_in(books, "two batches", *(facts[no] for no in order))
    assert [outcomes[order.index(no)] for no in range(2)] == [UNPAID, NOT_OURS]
    assert await books.coins(buyer) == COINS


# Two connections


@pytest.mark.parametrize("order", ORDERS)
async def test_a_session_and_its_intent_that_two_workers_apply_at_once_meet(
    books: Books, connect: Connect, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    other, superuser = Books(await connect()), await connect("superuser")
    facts: list[Fact] = [unpaid(payment, profile_id=buyer, sku=SKU), captured(payment)]
    await books.receive(facts[order[0]])
    transaction = books.db.transaction()
    await transaction.start()
    await books.work()
    await other.receive(facts[order[1]])
    # It waits for the names of the payment, and then finds what the other said.
    late = asyncio.create_task(other.work())
    await somebody_waits_for_a_lock(superuser)
    await transaction.commit()
    await late
    await other.work()
    assert await books.coins(buyer) == COINS
