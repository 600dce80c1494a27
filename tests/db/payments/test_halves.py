"""Halves of a payment: what its events tell apart counts together, in any order and any batch.

Here an event is an intent or a session, as Stripe has them; their shapes are tested elsewhere.
"""

from __future__ import annotations

import asyncio
from itertools import permutations, product
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from db.facts import Half, Verdict
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

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from db.facts import Fact, Purchase
    from tests.conftest import Connect

NOTHING: dict[str, Any] = {"sku": None, "quantity": None}
NOT_OURS = Outcome("ignored", "not_ours")
INCOMPLETE = Outcome("waiting", "incomplete_metadata")
NO_SESSION_YET = Outcome("waiting", "no_session_yet")
UNKNOWN_BUYER = Outcome("held", "unknown_buyer")
UNKNOWN_PRODUCT = Outcome("held", "unknown_product")
WRONG_AMOUNT = Outcome("held", "wrong_amount")
BATCHES = ["one batch", "two batches", "after 15 minutes"]
ORDERS = [(0, 1), (1, 0)]
GRANTED = "select count(*) from public.coin_purchases where granted_at is not null"


def intent(payment: Payment, buyer: UUID | None = None, **told: Any) -> Purchase:
    """An intent whose metadata tell this much."""
    return payment.bought(buyer, **NOTHING | {"told_by": "intent"} | told)


def session(payment: Payment, buyer: UUID | None = None, **told: Any) -> Purchase:
    """A session whose metadata tell this much."""
    return payment.bought(buyer, **NOTHING | {"told_by": "session"} | told)


def without_ours(payment: Payment, **half: Any) -> Verdict:
    """A session, or an intent, of which neither buyer nor product is told."""
    told = Half(**{"told_by": "session", "currency": "usd"} | half)
    return Verdict(state="ignored", reason="not_ours", payment_keys=[payment.intent], half=told)


async def tell(books: Books, batches: str, *facts: Fact) -> list[Outcome]:
    """Tell facts in one batch or in several; gives what became of each in the end."""
    if batches == "one batch":
        event_ids = await books.receive(*facts)
        await books.work()
    else:
        event_ids = []
        for fact in facts:
            event_ids += await books.receive(fact)
            await books.work()
            if batches != "two batches":
                books.wait(minutes=15)
                await books.wake()
                await books.work()
    # Whatever was put back to be judged again.
    await books.work()
    return [await books.outcome(event_id) for event_id in event_ids]


def told_in(order: Sequence[int], *facts: Fact) -> list[Fact]:
    return [facts[no] for no in order]


# Buyer, product and quantity each from the half that names them


# What intent and session name, and how many units were paid.
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
        outcomes = await tell(books, batches, *told_in(order, *facts))
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
    facts = told_in(
        order,
        without_ours(payment, quantity=3),
        intent(payment, buyer, sku="coins_100", amount_minor=3 * PRICE_MINOR),
    )
    outcomes = await tell(books, batches, *facts)
    assert sorted(outcomes, key=str) == [APPLIED, NOT_OURS]
    assert await books.coins(buyer) == 3 * COINS


@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("order", ORDERS)
async def test_a_buyer_in_metadata_stands_before_one_by_reference(
    books: Books, batches: str, order: tuple[int, int]
) -> None:
    for is_readable in (True, False):
        (buyer, other), payment = await books.profiles(2), Payment()
        # Held for its amount until the intent tells the quantity, so that nothing is granted yet.
        referred = session(
            payment,
            other if is_readable else None,
            buyer_unreadable=not is_readable,
            by_reference=True,
            sku="coins_100",
            amount_minor=2 * PRICE_MINOR,
        )
        named = intent(payment, buyer, quantity=2, amount_minor=2 * PRICE_MINOR)
        outcomes = await tell(books, batches, *told_in(order, named, referred))
        assert sorted(outcomes, key=str) == [DUPLICATE, APPLIED]
        assert await books.coins(buyer) == 2 * COINS
        assert await books.coins(other) == 0


async def test_a_payment_told_whole_is_granted_to_whom_it_names(books: Books) -> None:
    (buyer, other), payment = await books.profiles(2), Payment()
    whole = session(payment, buyer, sku="coins_100")
    assert await books.apply_one(whole) == APPLIED
    assert await books.apply_one(intent(payment, other, sku="coins_100")) == DUPLICATE
    assert (await books.coins(buyer), await books.coins(other)) == (COINS, 0)


async def test_of_halves_in_a_batch_the_one_that_tells_all_brings_the_purchase(
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
    facts = told_in(
        order, intent(payment, buyer), session(payment, other, sku="coins_100", quantity=2)
    )
    outcomes = await tell(books, batches, *facts)
    assert UNKNOWN_BUYER in outcomes
    books.wait(minutes=15)
    await books.wake()
    await books.work()
    held = "select reason from fleet.inbox_events where reason <> 'duplicate_payment'"
    assert {row["reason"] for row in await books.db.fetch(held)} == {"unknown_buyer"}
    assert (await books.coins(buyer), await books.db.fetchval(GRANTED)) == (0, 0)


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
        outcomes = await tell(books, "one batch", *told_in(order, *facts))
        assert sorted(outcomes, key=str) == [DUPLICATE, held]
        assert await books.coins(buyer) == 0
        bought = await books.purchase(payment)
        assert (bought["status"], bought["hold_reason"]) == ("pending", held.reason)


async def test_a_half_that_differs_from_one_that_waits_holds_the_payment(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    first = intent(payment, None, sku="coins_100")
    second = session(payment, buyer, sku="coins_7", amount_minor=300)
    assert sorted(await tell(books, "two batches", first, second), key=str) == [
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
    facts = told_in(
        order, nonsense, session(payment, sku="coins_100", quantity=2, amount_minor=200)
    )
    await tell(books, batches, *facts)
    assert await books.coins(buyer) == 2 * COINS


async def test_a_product_beside_a_quantity_that_makes_no_sense_is_held(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    nonsense = intent(payment, buyer, quantity_unreadable=True)
    assert INCOMPLETE in await tell(
        books, "two batches", nonsense, session(payment, sku="coins_100")
    )
    books.wait(minutes=15)
    await books.wake()
    await books.work()
    assert (
        await books.db.fetchval("select count(*) from fleet.inbox_events where state = 'held'") == 2
    )
    assert await books.coins(buyer) == 0


# What becomes of a payment meanwhile


@pytest.mark.parametrize("batches", BATCHES)
async def test_a_refund_between_the_halves_takes_its_coins(books: Books, batches: str) -> None:
    buyer, payment = await books.profile(), Payment()
    facts = (intent(payment, buyer), payment.refund(40), session(payment, sku="coins_100"))
    outcomes = await tell(books, batches, *facts)
    assert sorted(outcomes, key=str) == [DUPLICATE, APPLIED, APPLIED]
    assert await books.coins(buyer) == 60


async def test_an_event_without_our_metadata_makes_no_half_another_products(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(intent(payment, buyer))
    assert await books.apply_one(without_ours(payment)) == NOT_OURS
    assert await books.apply_one(payment.refund(40)) == NO_PURCHASE_YET


async def test_halves_under_two_names_meet_when_the_names_do(books: Books) -> None:
    for order in permutations(range(3)):
        buyer, payment = await books.profile(), Payment()
        by_session = [f"cs_{payment.number}"]
        facts = (
            intent(payment, buyer, payment_keys=[payment.intent]),
            session(payment, sku="coins_100", payment_keys=by_session),
            payment.refund(40, payment_keys=[payment.intent, *by_session]),
        )
        await tell(books, "after 15 minutes", *told_in(order, *facts))
        if order[2] == 2:
            # A refund alone grants nothing: the next event of the payment finds both.
            await books.apply_one(intent(payment, buyer, payment_keys=[payment.intent]))
        assert await books.coins(buyer) == 60


async def test_a_half_is_kept_only_while_nothing_is_granted(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply(
        payment.bought(buyer, told_by="intent"), payment.bought(buyer, told_by="session")
    )
    await books.apply(payment.bought(buyer), without_ours(payment, quantity=5))
    assert await books.db.fetchval("select count(*) from fleet.payment_halves") == 0


# Tax and shipping


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
    assert sorted(await tell(books, "two batches", *facts), key=str) == [WRONG_AMOUNT, NOT_OURS]


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
        outcomes = await tell(books, batches, *told_in(order, its_intent, its_session))
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
    assert await tell(books, "two batches", wrong, explains_nothing) == (
        [DUPLICATE, WRONG_AMOUNT] if ours else [WRONG_AMOUNT, other]
    )
    # Waiting for nobody, in a batch of both.
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


# Held, and judged again


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
    assert await tell(books, "after 15 minutes", *facts) == [outcome, NOT_OURS]
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
    await books.db.execute("update public.coin_purchases set decision = 'rejected'")
    await books.db.execute(
        "update fleet.inbox_events set state = 'rejected', reason = 'by_decision'"
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


# When a batch is tried in parts, and when two workers have a half each


async def test_halves_meet_in_a_batch_that_is_tried_in_parts(books: Books) -> None:
    (buyer, second), rich = await books.profiles(2), await books.profile(coins=2**63 - 1)
    payment, held = Payment(), Payment()
    outcomes = await books.apply(
        intent(payment, buyer),
        session(held, second, sku="coins_100", amount_minor=2 * PRICE_MINOR),
        Payment().bought(rich),
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
