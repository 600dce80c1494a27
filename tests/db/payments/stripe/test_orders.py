"""Orders as Stripe sends them, from payload to coins: tax, discounts, free ones, halves."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import APPLIED, DUPLICATE, NOON, Books, Outcome
from tests.db.payments.stripe.payloads import changed, interpreted
from workers.cli.simulate import stripe as simulated

if TYPE_CHECKING:
    from uuid import UUID

PACKAGES = """
    insert into public.coin_packages (provider, sku, coin_amount, amount_minor) values
        ('stripe', 'coins_1000', 1000, 1000), ('stripe', 'welcome', 50, 0)
"""
TAXED = {"amount_total": 1190, "total_details": {"amount_tax": 190}}
INCLUSIVE = {"amount_total": 1000, "total_details": {"amount_tax": 160}}
SHIPPED = {
    "amount_total": 1785,
    "total_details": {"amount_tax": 285, "amount_shipping": 500},
    "shipping_cost": {"amount_total": 595, "amount_subtotal": 500, "amount_tax": 95},
}
DISCOUNTED = {"amount_total": 900, "total_details": {"amount_discount": 100}}
WRONG_AMOUNT = Outcome("held", "wrong_amount")


class Shop:
    """One buyer's orders of coins_1000, on books with its price."""

    def __init__(self, books: Books, buyer: UUID) -> None:
        self.books, self.buyer = books, buyer
        self.whole = {"profile_id": str(buyer), "sku": "coins_1000"}
        self._numbers = 0

    def order(self, total: int = 1000) -> simulated.StripePayment:
        """Return a payment of so many cents; each event gets metadata of its own."""
        self._numbers += 1
        return simulated.StripePayment(
            key=f"{self.buyer.hex[:12]}{self._numbers}",
            amount_minor=total,
            created_s=int(NOON.timestamp()) + 60 * self._numbers,
        )

    async def deliver(self, *events: dict[str, Any]) -> list[Outcome]:
        """Deliver each event alone; return their outcomes at the end."""
        event_ids = []
        for event in events:
            event_ids += await self.books.receive(interpreted(event))
            await self.books.work()
            await self.books.work()
        return [await self.books.outcome(event_id) for event_id in event_ids]

    async def coins(self) -> int:
        return await self.books.coins(self.buyer)


def intent_of(order: simulated.StripePayment, metadata: dict[str, str]) -> dict[str, Any]:
    event = simulated.payment_intent_succeeded(order)
    return changed(event, metadata=metadata)


def session_of(
    order: simulated.StripePayment, metadata: dict[str, str], **changes: Any
) -> dict[str, Any]:
    told = {"metadata": metadata, "client_reference_id": None} | changes
    return simulated.checkout_session_completed(order, changes=told)


@pytest.fixture
async def shop(books: Books) -> Shop:
    await books.db.execute(PACKAGES)
    return Shop(books, await books.profile())


@pytest.mark.parametrize("details", [TAXED, INCLUSIVE, SHIPPED], ids=["added", "in", "shipped"])
async def test_a_taxed_order_is_granted_whichever_event_comes_first(
    shop: Shop, details: dict[str, Any]
) -> None:
    order, other = (shop.order(details["amount_total"]) for _ in range(2))
    session = session_of(order, shop.whole, **details)
    assert await shop.deliver(intent_of(order, shop.whole), session) in (
        [APPLIED, DUPLICATE],
        [DUPLICATE, APPLIED],
    )
    assert await shop.coins() == 1000
    session = session_of(other, shop.whole, **details)
    assert await shop.deliver(session, intent_of(other, shop.whole)) == [APPLIED, DUPLICATE]
    assert await shop.coins() == 2000
    # A session alone, because intents may carry no metadata.
    third = shop.order(details["amount_total"])
    told = await shop.deliver(intent_of(third, {}), session_of(third, shop.whole, **details))
    assert told == [Outcome("ignored", "not_ours"), APPLIED]
    # And an intent alone, with a session that carries none.
    last = shop.order(details["amount_total"])
    told = await shop.deliver(intent_of(last, shop.whole), session_of(last, {}, **details))
    assert told == [APPLIED, Outcome("ignored", "not_ours")]
    assert await shop.coins() == 4000


async def test_half_a_taxed_order_refunded_is_half_its_coins(shop: Shop) -> None:
    order = shop.order(1190)
    refund = simulated.refund_event(order, refund_id="re_taxed", amount_minor=595)
    await shop.deliver(intent_of(order, shop.whole), refund, session_of(order, shop.whole, **TAXED))
    assert await shop.coins() == 500


async def test_a_discount_is_not_added_back(shop: Shop) -> None:
    order = shop.order(900)
    assert WRONG_AMOUNT in await shop.deliver(
        intent_of(order, shop.whole), session_of(order, shop.whole, **DISCOUNTED)
    )
    assert await shop.coins() == 0


@pytest.mark.parametrize("status", ["no_payment_required", "paid"])
async def test_an_order_of_nothing_is_granted_once_if_its_package_costs_nothing(
    shop: Shop, status: str
) -> None:
    free = {"amount_total": 0, "payment_intent": None, "payment_status": status}
    order = shop.order(0)
    session = session_of(order, shop.whole | {"sku": "welcome"}, **free)
    again = session | {"id": "evt_again"}
    assert await shop.deliver(session, again) == [APPLIED, DUPLICATE]
    assert await shop.coins() == 50
    discounted = free | {"total_details": {"amount_discount": 1000}}
    assert await shop.deliver(session_of(shop.order(0), shop.whole, **discounted)) == [WRONG_AMOUNT]
    assert await shop.coins() == 50


@pytest.mark.parametrize("order", list(permutations(["intent", "session"])))
async def test_buyer_product_and_quantity_meet_wherever_they_stand(
    shop: Shop, order: tuple[str, ...]
) -> None:
    buyer, sku = {"profile_id": str(shop.buyer)}, {"sku": "coins_1000"}
    by_reference = {"client_reference_id": str(shop.buyer)}
    cases: list[tuple[dict[str, str], dict[str, str], dict[str, str], int]] = [
        (buyer, sku, {}, 1),
        (sku, buyer, {}, 1),
        (sku, {}, by_reference, 1),
        (buyer | {"quantity": "3"}, sku, {}, 3),
        (buyer | sku, {"quantity": "3"}, {}, 3),
        ({"quantity": "3"}, buyer | sku, {}, 3),
        (buyer, sku | {"quantity": "3"}, {"client_reference_id": "order-17"}, 3),
    ]
    granted = 0
    for on_intent, on_session, changes, units in cases:
        payment = shop.order(units * 1000)
        events = {
            "intent": intent_of(payment, on_intent),
            "session": session_of(payment, on_session, **changes),
        }
        outcomes = await shop.deliver(*(events[name] for name in order))
        granted += units
        assert APPLIED in outcomes, (on_intent, on_session)
        assert await shop.coins() == granted * 1000
