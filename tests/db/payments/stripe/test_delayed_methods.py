"""Sessions paid by a method that takes days: nothing until the money is there, then one grant.

The events of many payments are delivered in step, each payment's in an order of its own.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.db.books import COINS, NOON, PRICE_MINOR, SKU, Books
from tests.db.payments.stripe.payloads import Event, changed, deliver
from workers.cli.simulate import stripe as simulated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

pytestmark = pytest.mark.requirement("C11")

UNPAID = {"payment_status": "unpaid"}


class Sale(NamedTuple):
    """One buyer's payment by bank debit, with metadata on its session, its intent or both."""

    buyer: UUID
    payment: simulated.StripePayment
    told_on: Sequence[str]

    def _metadata(self, part: str) -> dict[str, str]:
        return {"profile_id": str(self.buyer), "sku": SKU} if part in self.told_on else {}

    def session(self, event_type: str, **fields: Any) -> Event:
        event = simulated.checkout_session_completed(self.payment)
        told = {"metadata": self._metadata("session"), "client_reference_id": None}
        return changed(event, event_type, **told | fields)

    def intent(self, event_type: str, **fields: Any) -> Event:
        event = simulated.payment_intent_succeeded(self.payment)
        return changed(event, event_type, metadata=self._metadata("intent"), **fields)

    def charge(self, event_type: str, **fields: Any) -> Event:
        event = simulated.charge_refunded(self.payment, amount_refunded=0)
        return changed(event, event_type, **fields)

    def paid(self) -> dict[str, Event]:
        """The events of a payment whose money comes days later, by a name for each."""
        return {
            "completed": self.session("checkout.session.completed", **UNPAID),
            "processing": self.intent(
                "payment_intent.processing", status="processing", amount_received=0
            ),
            "charged": self.charge("charge.succeeded"),
            "succeeded": self.intent("payment_intent.succeeded"),
            "paid": self.session("checkout.session.async_payment_succeeded"),
        }

    def failed(self) -> dict[str, Event]:
        """The events of a payment whose money never comes."""
        requires = {"status": "requires_payment_method", "amount_received": 0}
        return {
            "completed": self.session("checkout.session.completed", **UNPAID),
            "processing": self.intent(
                "payment_intent.processing", status="processing", amount_received=0
            ),
            "charge failed": self.charge(
                "charge.failed", status="failed", paid=False, amount_captured=0, captured=False
            ),
            "intent failed": self.intent("payment_intent.payment_failed", **requires),
            "session failed": self.session("checkout.session.async_payment_failed", **UNPAID),
        }


def grants(told: Sequence[str], told_on: Sequence[str]) -> bool:
    """Whether the coins are due: the money is there, and something said who bought what."""
    of_session = {"completed", "paid"} & set(told)
    is_known = (of_session and "session" in told_on) or (
        "succeeded" in told and "intent" in told_on
    )
    return bool(is_known and {"succeeded", "paid"} & set(told))


async def make_sales(books: Books, number: int, *, told_on: Sequence[str]) -> list[Sale]:
    buyers = await books.profiles(number)
    return [
        Sale(
            buyer,
            simulated.StripePayment(
                key=buyer.hex, amount_minor=PRICE_MINOR, created_s=int(NOON.timestamp())
            ),
            told_on,
        )
        for buyer in buyers
    ]


async def all_coins(books: Books, sales: Sequence[Sale]) -> list[int]:
    rows = await books.db.fetch(
        "select p.coin_balance from unnest($1::uuid[]) with ordinality as b (id, no)"
        " join public.profiles as p on p.id = b.id order by b.no",
        [sale.buyer for sale in sales],
    )
    return [row["coin_balance"] for row in rows]


async def open_events(books: Books) -> list[tuple[str, str]]:
    rows = await books.db.fetch(
        "select state, reason from fleet.inbox_events where state not in ('applied', 'ignored')"
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    "told_on", [("session",), ("intent",), ("session", "intent")], ids=" and ".join
)
async def test_a_delayed_payment_is_granted_once_when_its_money_comes_in_any_order(
    books: Books, told_on: tuple[str, ...]
) -> None:
    orders = list(permutations(["completed", "processing", "charged", "succeeded", "paid"]))
    sales = await make_sales(books, len(orders), told_on=told_on)
    for step in range(len(orders[0])):
        told = [sale.paid()[order[step]] for sale, order in zip(sales, orders, strict=True)]
        # Each is delivered twice, the second time after the other payments'.
        await deliver(books, told)
        await deliver(books, told)
        due = [COINS * grants(order[: step + 1], told_on) for order in orders]
        assert await all_coins(books, sales) == due
    assert await all_coins(books, sales) == [COINS] * len(sales)
    assert await open_events(books) == []
    assert not await books.breaches()


async def test_all_events_of_a_delayed_payment_may_come_in_one_batch(books: Books) -> None:
    orders = list(permutations(["completed", "charged", "succeeded", "paid"]))
    sales = await make_sales(books, len(orders), told_on=("session",))
    events = [
        sale.paid()[name] for sale, order in zip(sales, orders, strict=True) for name in order
    ]
    await deliver(books, events)
    assert await all_coins(books, sales) == [COINS] * len(sales)
    assert await open_events(books) == []


@pytest.mark.parametrize(
    "told_on", [("session",), ("intent",), ("session", "intent")], ids=" and ".join
)
async def test_a_delayed_payment_that_fails_grants_nothing_and_leaves_nothing_open(
    books: Books, told_on: tuple[str, ...]
) -> None:
    names = ["completed", "processing", "charge failed", "intent failed", "session failed"]
    orders = list(permutations(names))
    sales = await make_sales(books, len(orders), told_on=told_on)
    for step in range(len(orders[0])):
        told = [sale.failed()[order[step]] for sale, order in zip(sales, orders, strict=True)]
        await deliver(books, told)
        await deliver(books, told)
    assert await open_events(books) == []
    assert await all_coins(books, sales) == [0] * len(sales)
    assert await books.db.fetchval("select count(*) from public.coin_purchases") == 0
    assert not await books.breaches()


async def test_what_a_failed_payment_left_is_of_use_if_its_intent_succeeds_after_all(
    books: Books,
) -> None:
    """The buyer enters another bank account: the intent goes on, with a charge of its own."""
    orders = list(permutations(["completed", "charge failed", "session failed", "succeeded"]))
    sales = await make_sales(books, len(orders), told_on=("session",))
    for step in range(len(orders[0])):
        told = [
            (sale.failed() | {"succeeded": sale.intent("payment_intent.succeeded")})[order[step]]
            for sale, order in zip(sales, orders, strict=True)
        ]
        await deliver(books, told)
    assert await all_coins(books, sales) == [COINS] * len(sales)
    assert await open_events(books) == []
    assert not await books.breaches()
