"""A direct call names dollars; its refunds are parts of what the provider says was charged."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from db.facts import Half, Names, Paid
from tests.db.approvals.decisions import approve, let_people_be_named
from tests.db.books import APPLIED, COINS, DUPLICATE, NOON, Books, Outcome, Payment
from tests.db.money.calls import buy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from db.connections.pool import Connection
    from db.facts import ToldBy
    from tests.conftest import SignIn

# What was charged for a call that says 1.00 USD for 100 coins.
CHARGED: list[dict[str, Any]] = [
    {"amount_minor": 90, "currency": "eur"},
    {"amount_minor": 150, "currency": "jpy"},
    {"amount_minor": 308, "currency": "kwd"},
    {"amount_minor": 120, "currency": "usd"},
    {"amount_minor": 100, "currency": "usd"},
    {"amount_minor": 80, "currency": "usd"},
]
TELLERS: tuple[ToldBy, ...] = ("intent", "session")


@pytest.fixture
async def backend(signed_in: SignIn) -> Connection:
    """The platform's backend, with the service key."""
    return await signed_in(role="service_role")


async def coins_in_each_order(
    books: Books, told: Callable[[UUID, Payment], list[Awaitable[object]]]
) -> set[int]:
    """Return the coins of buyers, for whom the same facts came in different orders."""
    left = set()
    steps = len(discard(told(await books.profile(), Payment())))
    for order in permutations(range(steps)):
        buyer, payment = await books.profile(), Payment()
        awaitables = told(buyer, payment)
        for step in order:
            await awaitables[step]
        left.add(await books.coins(buyer))
        assert await books.breaches() == {}, order
    return left


def discard(awaitables: list[Awaitable[object]]) -> list[Awaitable[object]]:
    """Close coroutines that are not awaited."""
    for awaitable in awaitables:
        awaitable.close()  # type: ignore[attr-defined]
    return awaitables


@pytest.mark.long_but_first
@pytest.mark.parametrize("charged", CHARGED)
@pytest.mark.parametrize("teller", TELLERS)
async def test_half_of_what_was_charged_is_half_of_the_coins_of_a_direct_call(
    books: Books, backend: Connection, charged: dict[str, Any], teller: str
) -> None:
    half = charged["amount_minor"] // 2

    def told(buyer: UUID, payment: Payment) -> list[Awaitable[object]]:
        # An intent without metadata that another half completes: it waits until the call comes.
        paid = payment.bought(buyer, sku=None, told_by=teller, **charged)
        return [
            buy(backend, buyer, f"call_{payment.number}", payment.intent, provider="stripe"),
            books.apply(paid),
            books.apply(payment.refund(half)),
        ]

    assert await coins_in_each_order(books, told) == {COINS - COINS // 2}


@pytest.mark.long_but_first
@pytest.mark.parametrize("charged", CHARGED)
@pytest.mark.parametrize("teller", TELLERS)
async def test_events_without_metadata_say_what_was_paid_for_a_direct_call(
    books: Books, backend: Connection, charged: dict[str, Any], teller: ToldBy
) -> None:
    half = charged["amount_minor"] // 2

    def told(buyer: UUID, payment: Payment) -> list[Awaitable[object]]:
        paid = Paid(purchased_at=NOON, **charged)
        verdict = msgspec.structs.replace(payment.not_ours(), half=Half(told_by=teller, paid=paid))
        return [
            buy(backend, buyer, f"call_{payment.number}", payment.intent, provider="stripe"),
            books.apply(verdict),
            books.apply(payment.refund(half)),
        ]

    assert await coins_in_each_order(books, told) == {COINS - COINS // 2}


async def test_the_intents_total_counts_among_those_without_metadata(
    books: Books, backend: Connection
) -> None:
    def told(buyer: UUID, payment: Payment) -> list[Awaitable[object]]:
        totals = {"session": 119, "intent": 200}
        verdicts = [
            msgspec.structs.replace(
                payment.not_ours(),
                half=Half(
                    told_by=teller,  # type: ignore[arg-type]
                    paid=Paid(amount_minor=total, currency="usd", purchased_at=NOON),
                ),
            )
            for teller, total in totals.items()
        ]
        return [
            buy(backend, buyer, f"call_{payment.number}", payment.intent, provider="stripe"),
            books.apply(*verdicts),
            books.apply(payment.refund(100)),
        ]

    assert await coins_in_each_order(books, told) == {COINS - COINS // 2}


@pytest.mark.long_but_first
@pytest.mark.parametrize("charged", CHARGED)
async def test_a_charge_alone_says_what_was_paid_for_a_direct_call(
    books: Books, backend: Connection, charged: dict[str, Any]
) -> None:
    half = charged["amount_minor"] // 2

    def told(buyer: UUID, payment: Payment) -> list[Awaitable[object]]:
        return [
            buy(backend, buyer, f"call_{payment.number}", payment.intent, provider="stripe"),
            books.apply(payment.refunded_so_far(half, **charged)),
        ]

    assert await coins_in_each_order(books, told) == {COINS - COINS // 2}


@pytest.mark.long_but_first
@pytest.mark.parametrize("usd", ["0.00", "0.80", "1.00", "2.00"])
async def test_what_the_caller_says_was_paid_moves_no_coins_of_a_refund(
    books: Books, backend: Connection, usd: str
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "call", payment.intent, provider="stripe", usd=usd)
    assert await books.apply_one(payment.bought(buyer)) == DUPLICATE
    assert await books.apply_one(payment.refund(25)) == APPLIED
    assert await books.coins(buyer) == COINS - 25
    assert await books.apply_one(payment.refund(75, "re2")) == APPLIED
    assert (await books.coins(buyer), await books.status(payment)) == (0, "refunded")


async def test_the_charges_amount_comes_before_the_intents_and_that_before_the_sessions(
    books: Books, backend: Connection
) -> None:
    def told(buyer: UUID, payment: Payment) -> list[Awaitable[object]]:
        session = payment.bought(buyer, told_by="session", amount_minor=400)
        intent = payment.bought(buyer, told_by="intent", amount_minor=200, currency="eur")
        return [
            buy(backend, buyer, f"call_{payment.number}", payment.intent, provider="stripe"),
            books.apply(session, intent),
            books.apply(payment.refund(50)),
        ]

    buyer, payment = await books.profile(), Payment()
    call, paid, refund = told(buyer, payment)
    await call
    await refund
    await paid
    assert await books.coins(buyer) == COINS - 25
    charge = payment.refunded_so_far(50, amount_minor=500, currency="chf")
    assert await books.apply_one(charge) == APPLIED
    assert await books.coins(buyer) == COINS - 10
    assert await books.breaches() == {}


async def test_a_dispute_in_the_currency_of_the_charge_needs_no_rate(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "call", payment.intent, provider="stripe")
    await books.apply_one(payment.bought(buyer, amount_minor=900, currency="sek"))
    dispute = payment.dispute(450, -450, currency="sek", told_at=NOON)
    assert await books.apply_one(dispute) == APPLIED
    assert await books.coins(buyer) == COINS // 2
    assert await books.breaches() == {}


async def test_a_package_bought_by_an_event_is_settled_by_its_own_amount(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply_one(payment.bought(buyer))
    await books.apply_one(payment.bought(buyer, amount_minor=400, told_by="session"))
    await books.apply_one(payment.refunded_so_far(50, amount_minor=400, currency="usd"))
    assert await books.coins(buyer) == COINS // 2
    assert await books.breaches() == {}


async def test_a_clash_of_event_ids_is_no_breach_of_held_purchases(
    books: Books, backend: Connection
) -> None:
    buyer, payment = await books.profile(), Payment()
    await buy(backend, buyer, "evt_used", "in_other", provider="stripe")
    (event_id,) = await books.receive(payment.bought(buyer), ids=["evt_used"])
    assert await books.work() == {event_id: Outcome("held", "id_conflict")}
    assert await books.coins(buyer) == COINS
    assert await books.breaches() == {}


@pytest.mark.parametrize("held_first", [True, False])
async def test_of_two_calls_refunds_are_divided_by_the_amount_of_the_granted_one(
    books: Books, backend: Connection, *, held_first: bool
) -> None:
    buyer, payment = await books.profile(), Payment()
    names = [(f"cs_{payment.number}", "30000.00"), (payment.intent, "1.00")]
    for name, usd in names if held_first else reversed(names):
        await buy(backend, buyer, f"evt_rpc_{name}", name, provider="stripe", usd=usd)
    # An event that joins their names and tells no amount.
    unpaid = Names(payment_keys=[payment.intent, f"cs_{payment.number}"], reason="unpaid")
    await books.apply_one(unpaid)
    await books.apply_one(payment.refund(50))
    assert await books.coins(buyer) == COINS // 2


@pytest.mark.long_but_first
@pytest.mark.parametrize("is_joined_first", [True, False])
@pytest.mark.parametrize("order", [1, -1])
async def test_so_they_are_if_a_person_granted_it_whenever_their_names_were_joined(
    books: Books, backend: Connection, order: int, *, is_joined_first: bool
) -> None:
    await let_people_be_named(books.db)
    buyer, payment = await books.profile(), Payment()
    for name, usd in ((f"cs_{payment.number}", "40000"), (payment.intent, "30000"))[::order]:
        await buy(backend, buyer, f"evt_rpc_{name}", name, provider="stripe", usd=usd)
    unpaid = Names(payment_keys=[payment.intent, f"cs_{payment.number}"], reason="unpaid")
    if is_joined_first:
        await books.apply_one(unpaid)
    await approve(books.db, (await books.purchase(payment))["id"])
    if not is_joined_first:
        await books.apply_one(unpaid)
    await books.apply_one(payment.refund(15_000_00))
    assert await books.coins(buyer) == COINS // 2
