"""Refunds and disputes in events of Stripe, from the payload to the balance.

Each payment is 1,000 coins for 10.00 USD. Times are minutes after it.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import NOON, SKU, Books
from tests.tasks.providers.stripe.events import interpret
from workers.cli.simulate import stripe as made

if TYPE_CHECKING:
    from uuid import UUID

Event = dict[str, Any]
_keys = count(1)
PAID_S = int(NOON.timestamp())


def minute(number: int) -> int:
    """Stripe's time so many minutes after the payment."""
    return PAID_S + 60 * number


def payment_of(buyer: UUID) -> made.StripePayment:
    """A payment of 10.00."""
    metadata = {"profile_id": str(buyer), "sku": SKU, "quantity": "10"}
    return made.StripePayment(key="1", amount_minor=1_000, created_s=PAID_S, metadata=metadata)


def with_object(event: Event, **changes: object) -> Event:
    """Return the event with changes to its object."""
    event["data"]["object"] |= changes
    return event


async def apply_events(books: Books, *events: Event) -> None:
    """Apply each event in a batch of its own."""
    for event in events:
        await books.apply(interpret(event))


def refunded(payment: made.StripePayment, minor: int, at: int, **changes: object) -> Event:
    event = made.charge_refunded(payment, amount_refunded=minor, created_s=minute(at))
    return with_object(event, **changes)


def failed(payment: made.StripePayment, minor: int, at: int, *, made_at: int = 1) -> Event:
    event = made.refund_event(
        payment,
        "charge.refund.updated",
        refund_id=f"re_{payment.key}_{minor}_{made_at}",
        amount_minor=minor,
        status="failed",
        created_s=minute(at),
    )
    return with_object(event, created=minute(made_at))


def disputed(
    payment: made.StripePayment, status: str, *moved: int, at: int = 1, **changes: object
) -> Event:
    event = made.dispute_event(
        payment,
        "charge.dispute.closed",
        dispute_id="dp_1",
        status=status,
        balance_transactions=[(f"txn_{no}", amount) for no, amount in enumerate(moved)],
        created_s=minute(at),
    )
    return with_object(event, **changes)


async def coins_after(books: Books, *reversals: Any) -> int:
    """Return the buyer's coins after these events, also in reverse order and before the payment."""
    left = set()
    for is_early in (False, True):
        buyer = await books.profile()
        payment = made.StripePayment(
            key=str(next(_keys)),
            amount_minor=1_000,
            created_s=PAID_S,
            metadata=payment_of(buyer).metadata,
        )
        events = [reversal(payment) for reversal in reversals]
        paid = made.payment_intent_succeeded(payment)
        await apply_events(books, *([*events[::-1], paid] if is_early else [paid, *events]))
        left.add(await books.coins(buyer))
    assert await books.breaches() == {}
    assert len(left) == 1, left
    return left.pop()


async def test_a_refund_that_failed_does_not_hide_the_one_that_replaced_it(books: Books) -> None:
    assert not await coins_after(
        books,
        lambda p: refunded(p, 1_000, 1),
        lambda p: failed(p, 1_000, 2),
        lambda p: refunded(p, 1_000, 3),
    )


async def test_a_smaller_refund_may_replace_one_that_failed(books: Books) -> None:
    assert (
        await coins_after(
            books,
            lambda p: refunded(p, 400, 1),
            lambda p: failed(p, 400, 2),
            lambda p: refunded(p, 300, 3),
        )
        == 700
    )


async def test_a_failure_told_again_later_changes_nothing(books: Books) -> None:
    assert not await coins_after(
        books,
        lambda p: refunded(p, 1_000, 1),
        lambda p: failed(p, 1_000, 2),
        lambda p: refunded(p, 1_000, 3),
        lambda p: failed(p, 1_000, 9),
    )


async def test_what_was_never_captured_is_not_refunded(books: Books) -> None:
    captured = {"amount": 1_500, "amount_captured": 1_000}
    assert await coins_after(books, lambda p: refunded(p, 750, 2, **captured)) == 750
    assert (
        await coins_after(
            books,
            lambda p: refunded(p, 500, 0, **captured),
            lambda p: made.refund_event(p, refund_id=f"re_rest_{p.key}", amount_minor=500),
            lambda p: made.refund_event(p, refund_id=f"re_part_{p.key}", amount_minor=250),
            lambda p: refunded(p, 750, 2, **captured),
        )
        == 750
    )


@pytest.mark.parametrize(
    ("status", "moved", "coins", "ends_as"),
    [
        ("lost", (-1_000, 20), 0, "chargeback"),
        ("won", (-1_080, 1_062), 1_000, "confirmed"),
        ("prevented", (-1_000,), 1_000, "confirmed"),
        ("warning_closed", (), 1_000, "confirmed"),
        ("needs_response", (-1_080,), 0, "chargeback"),
        ("under_review", (-1_080, 540), 500, "confirmed"),
        ("lost", (-1_080, 540), 500, "confirmed"),
        ("something_new", (-1_080,), 0, "chargeback"),
    ],
)
async def test_a_conversion_inside_a_dispute_gives_whole_results(
    books: Books, status: str, moved: tuple[int, ...], coins: int, ends_as: str
) -> None:
    buyer = await books.profile()
    payment = payment_of(buyer)
    await apply_events(
        books, made.payment_intent_succeeded(payment), disputed(payment, status, *moved)
    )
    assert await books.coins(buyer) == coins
    assert await books.db.fetchval("select status from public.coin_purchases") == ends_as


@pytest.mark.parametrize(("rate", "minor", "coins"), [(1.087, 920, 0), (1.087, 460, 500)])
@pytest.mark.parametrize("has_rate", [True, False])
async def test_a_dispute_in_euros_is_no_part_in_cents(
    books: Books, rate: float, minor: int, coins: int, *, has_rate: bool
) -> None:
    buyer = await books.profile()
    payment = payment_of(buyer)
    if has_rate:
        await books.db.execute(
            "insert into public.fx_rates (currency, usd_per_unit, as_of) values ('eur', $1, $2)",
            rate,
            NOON,
        )
    event = disputed(payment, "lost", -minor, currency="eur", amount=minor)
    await apply_events(books, made.payment_intent_succeeded(payment), event)
    assert await books.coins(buyer) == (coins if has_rate else 0)


async def test_a_refund_of_a_charge_that_does_not_say_whether_it_was_captured_counts(
    books: Books,
) -> None:
    assert await coins_after(books, lambda p: refunded(p, 400, 1, captured=None)) == 600


async def test_a_charge_that_was_never_captured_moves_nothing(books: Books) -> None:
    buyer = await books.profile()
    payment = payment_of(buyer)
    event = refunded(payment, 1_000, 1, captured=False, amount_captured=0)
    refund = made.refund_event(payment, refund_id="re_1", amount_minor=1_000)
    (outcome,) = await books.apply(interpret(event))
    assert outcome == ("ignored", "not_captured")
    # The release is reported as a refund, too: of a payment that never was, so it is no alarm.
    (outcome,) = await books.apply(interpret(refund))
    assert outcome == ("ignored", "not_ours")
