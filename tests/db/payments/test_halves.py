"""Halves of a payment: what its events say apart counts together, in any order and any batch.

An event is an intent or a session of Stripe here; their payloads are tested elsewhere.
"""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from db.facts import Names
from tests.conditions import somebody_waits_for_a_lock
from tests.db.books import (
    APPLIED,
    COINS,
    DUPLICATE,
    NO_PURCHASE_YET,
    PRICE_MINOR,
    Books,
    Outcome,
    Payment,
)
from tests.db.payments.halves import (
    BATCHES,
    INCOMPLETE,
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

if TYPE_CHECKING:
    from tests.conftest import Connect

GRANTED = "select count(*) from public.coin_purchases where granted_at is not null"


# Buyer, product and quantity each from the half that names them


# What intent and session name, and how many units were paid for.
HALVES = [
    ("buyer", "sku", 1),
    ("sku", "buyer", 1),
    ("buyer", "sku quantity", 3),
    ("buyer quantity", "sku", 3),
    ("sku quantity", "buyer", 3),
    ("sku", "buyer quantity", 3),
    ("buyer sku", "sku", 1),
    ("buyer sku", "buyer sku quantity", 3),
    ("buyer sku quantity", "buyer sku", 3),
    ("sku", "reference", 1),
    ("buyer", "reference sku", 1),
]


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_halves_meet_in_any_order_and_any_batch(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    for on_intent, on_session, units in HALVES:
        buyer, payment = await books.profile(), Payment()
        facts = [
            half(
                payment,
                buyer if {"buyer", "reference"} & set(names.split()) else None,
                by_reference="reference" in names,
                sku="coins_100" if "sku" in names else None,
                quantity=units if "quantity" in names else None,
                amount_minor=units * PRICE_MINOR,
            )
            for half, names in ((intent, on_intent), (session, on_session))
        ]
        outcomes = await apply_in(books, batches, *in_order(order, *facts))
        assert sorted(outcomes, key=str) == [DUPLICATE, APPLIED]
        assert await books.coins(buyer) == units * COINS
        bought = await books.purchase(payment)
        assert (bought["profile_id"], bought["sku"]) == (buyer, "coins_100")
        assert (bought["quantity"], bought["amount_minor"]) == (units, units * PRICE_MINOR)


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_a_quantity_may_stand_on_a_half_that_tells_nothing_else(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = in_order(
        order,
        without_ours(payment, quantity=3),
        intent(payment, buyer, sku="coins_100", amount_minor=3 * PRICE_MINOR),
    )
    outcomes = await apply_in(books, batches, *facts)
    assert sorted(outcomes, key=str) == [APPLIED, NOT_OURS]
    assert await books.coins(buyer) == 3 * COINS


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_a_buyer_in_metadata_comes_before_one_by_reference(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    for is_readable in (True, False):
        (buyer, other), payment = await books.profiles(2), Payment()
        # Held for its amount until the intent names the quantity, so that nothing is granted yet.
        referred = session(
            payment,
            other if is_readable else None,
            buyer_unreadable=not is_readable,
            by_reference=True,
            sku="coins_100",
            amount_minor=2 * PRICE_MINOR,
        )
        named = intent(payment, buyer, quantity=2, amount_minor=2 * PRICE_MINOR)
        outcomes = await apply_in(books, batches, *in_order(order, named, referred))
        assert sorted(outcomes, key=str) == [DUPLICATE, APPLIED]
        assert await books.coins(buyer) == 2 * COINS
        assert await books.coins(other) == 0


async def test_a_complete_event_is_granted_to_the_buyer_that_it_names(books: Books) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    whole = session(payment, buyer, sku="coins_100")
    assert await books.apply_one(whole) == APPLIED
    assert await books.apply_one(intent(payment, other, sku="coins_100")) == DUPLICATE
    assert (await books.coins(buyer), await books.coins(other)) == (COINS, 0)


async def test_of_the_halves_in_a_batch_the_one_that_names_all_becomes_the_purchase(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (intent(payment, buyer), session(payment, buyer, sku="coins_100"))
    assert await books.apply(*facts) == [DUPLICATE, APPLIED]


# Halves that differ


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("batches", ["one batch", "two batches"])
@pytest.mark.parametrize("is_stranger", [True, False])
async def test_halves_that_name_different_buyers_are_held(
    books: Books, batches: str, order: tuple[int, int], *, is_stranger: bool
) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    other = uuid4() if is_stranger else other
    facts = in_order(
        order, intent(payment, buyer), session(payment, other, sku="coins_100", quantity=2)
    )
    outcomes = await apply_in(books, batches, *facts)
    assert UNKNOWN_BUYER in outcomes
    books.wait(minutes=15)
    await books.wake()
    await books.work()
    held = "select reason from fleet.inbox_events where reason <> 'duplicate_payment'"
    assert {row["reason"] for row in await books.db.fetch(held)} == {"unknown_buyer"}
    assert (await books.coins(buyer), await books.db.fetchval(GRANTED)) == (0, 0)


@pytest.mark.parametrize("order", ORDERS)
async def test_references_to_different_buyers_are_held(
    books: Books, order: tuple[int, int]
) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    one = session(payment, buyer, by_reference=True, sku="coins_100")
    two = session(payment, other, by_reference=True)
    assert await apply_in(books, "one batch", *in_order(order, one, two)) == [UNKNOWN_BUYER] * 2
    assert [await books.coins(each) for each in (buyer, other)] == [0, 0]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_buyer_who_can_not_be_read_holds_the_other_half_at_once(
    books: Books, order: tuple[int, int]
) -> None:
    payment = Payment()
    facts = (intent(payment, buyer_unreadable=True), session(payment, sku="coins_100"))
    assert await apply_in(books, "one batch", *in_order(order, *facts)) == [UNKNOWN_BUYER] * 2


DIFFERENT: list[tuple[dict[str, Any], dict[str, Any], Outcome]] = [
    ({"sku": "coins_100"}, {"sku": "coins_7"}, UNKNOWN_PRODUCT),
    ({"sku": "coins_100", "quantity": 1}, {"quantity": 2}, WRONG_AMOUNT),
    ({"sku": "coins_100", "quantity": 1}, {"sku": "coins_7", "quantity": 2}, UNKNOWN_PRODUCT),
    ({"quantity": 1}, {"sku": "coins_100", "quantity": 2}, WRONG_AMOUNT),
]


@pytest.mark.parametrize("order", ORDERS)
async def test_halves_that_differ_in_a_batch_are_held(books: Books, order: tuple[int, int]) -> None:
    for on_intent, on_session, held in DIFFERENT:
        buyer, payment = await books.profile(), Payment()
        facts = (intent(payment, buyer, **on_intent), session(payment, buyer, **on_session))
        outcomes = await apply_in(books, "one batch", *in_order(order, *facts))
        assert sorted(outcomes, key=str) == [DUPLICATE, held]
        assert await books.coins(buyer) == 0
        bought = await books.purchase(payment)
        assert (bought["status"], bought["hold_reason"]) == ("pending", held.reason)


async def test_a_half_that_differs_from_one_that_waits_holds_the_payment(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    first = intent(payment, None, sku="coins_100")
    second = session(payment, buyer, sku="coins_7", amount_minor=300)
    assert sorted(await apply_in(books, "two batches", first, second), key=str) == [
        DUPLICATE,
        UNKNOWN_PRODUCT,
    ]
    assert await books.coins(buyer) == 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("batches", BATCHES)
async def test_a_quantity_that_makes_no_sense_gives_way_to_one_that_does(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    buyer, payment = await books.profile(), Payment()
    nonsense = intent(payment, buyer, quantity_unreadable=True, amount_minor=200)
    facts = in_order(
        order, nonsense, session(payment, sku="coins_100", quantity=2, amount_minor=200)
    )
    await apply_in(books, batches, *facts)
    assert await books.coins(buyer) == 2 * COINS


async def test_a_product_beside_a_quantity_that_makes_no_sense_is_held(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    nonsense = intent(payment, buyer, quantity_unreadable=True)
    assert INCOMPLETE in await apply_in(
        books, "two batches", nonsense, session(payment, sku="coins_100")
    )
    books.wait(minutes=15)
    await books.wake()
    await books.work()
    assert (
        await books.db.fetchval("select count(*) from fleet.inbox_events where state = 'held'") == 2
    )
    assert await books.coins(buyer) == 0


# What happens between the halves


@pytest.mark.parametrize("batches", BATCHES)
async def test_a_refund_between_the_halves_takes_its_coins(books: Books, batches: str) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (intent(payment, buyer), payment.refund(40), session(payment, sku="coins_100"))
    outcomes = await apply_in(books, batches, *facts)
    assert sorted(outcomes, key=str) == [DUPLICATE, APPLIED, APPLIED]
    assert await books.coins(buyer) == 60


async def test_an_event_without_our_metadata_does_not_make_a_half_foreign(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(intent(payment, buyer))
    assert await books.apply_one(without_ours(payment)) == NOT_OURS
    assert await books.apply_one(payment.refund(40)) == NO_PURCHASE_YET


async def test_halves_under_two_names_meet_when_the_names_join(books: Books) -> None:
    for order in permutations(range(3)):
        buyer, payment = await books.profile(), Payment()
        by_session = [f"cs_{payment.number}"]
        facts = (
            intent(payment, buyer, payment_keys=[payment.intent]),
            session(payment, sku="coins_100", payment_keys=by_session),
            payment.refund(40, payment_keys=[payment.intent, *by_session]),
        )
        await apply_in(books, "after 15 minutes", *in_order(order, *facts))
        if order[2] == 2:
            # A refund alone grants nothing: the next event of the payment finds both.
            await books.apply_one(intent(payment, buyer, payment_keys=[payment.intent]))
        assert await books.coins(buyer) == 60


async def test_what_is_held_under_one_name_is_closed_when_it_joins_a_granted_one(
    books: Books,
) -> None:
    buyer, payment = await books.profile(), Payment()
    by_session = [f"cs_{payment.number}"]
    half = session(payment, sku="coins_100", payment_keys=by_session)
    assert await apply_in(books, "after 15 minutes", half) == [UNKNOWN_BUYER]
    await books.apply_one(payment.bought(buyer, payment_keys=[payment.intent]))
    await books.apply_one(Names(payment_keys=[payment.intent, *by_session]))
    reasons = "select reason from fleet.inbox_events where state in ('held', 'waiting')"
    assert await books.db.fetch(reasons) == []
    assert await books.coins(buyer) == COINS


async def test_a_half_is_kept_only_while_nothing_is_granted(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply(
        payment.bought(buyer, told_by="intent"), payment.bought(buyer, told_by="session")
    )
    await books.apply(payment.bought(buyer), without_ours(payment, quantity=5))
    assert await books.db.fetchval("select count(*) from fleet.payment_halves") == 0


# When a batch is tried in parts, and when two workers have a half each


async def test_halves_meet_in_a_batch_that_is_tried_in_parts(books: Books) -> None:
    (buyer, second), unlucky = await books.profiles(2), await books.unlucky()
    payment, held = Payment(), Payment()
    outcomes = await books.apply(
        intent(payment, buyer),
        session(held, second, sku="coins_100", amount_minor=2 * PRICE_MINOR),
        Payment().bought(unlucky),
        session(payment, sku="coins_100"),
        intent(held, second, quantity=2, amount_minor=2 * PRICE_MINOR),
    )
    assert outcomes == [DUPLICATE, APPLIED, Outcome("pending"), APPLIED, DUPLICATE]
    assert (await books.coins(buyer), await books.coins(second)) == (COINS, 2 * COINS)


async def test_halves_that_two_workers_apply_at_once_meet(books: Books, connect: Connect) -> None:
    buyer, payment = await books.profile(), Payment()
    other, superuser = Books(await connect()), await connect("superuser")
    await books.receive(intent(payment, buyer))
    transaction = books.db.transaction()
    await transaction.start()
    await books.work()
    await other.receive(session(payment, sku="coins_100"))
    # It waits for the names of the payment, and finds the buyer once it has them.
    late = asyncio.create_task(other.work())
    await somebody_waits_for_a_lock(superuser)
    await transaction.commit()
    assert list((await late).values()) == [APPLIED]
    assert await books.coins(buyer) == COINS
