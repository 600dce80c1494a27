"""Rules at their limits, one step to each side. Each was once off by one, and no test failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.books import NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from collections.abc import Sequence

INCOMPLETE = Outcome("waiting", "incomplete_metadata")


async def test_a_payment_without_a_product_waits_for_15_minutes(books: Books) -> None:
    (event_id,) = await books.receive(Payment().bought(await books.profile(), sku=None))
    assert await books.work() == {event_id: INCOMPLETE}
    for wait, outcome in (
        ({"minutes": 14, "seconds": 59}, INCOMPLETE),
        ({"seconds": 1}, Outcome("held", "unknown_product")),
    ):
        books.wait(**wait)
        await books.db.execute(
            "update fleet.inbox_events set state = 'pending', next_attempt_at = $1 where id = $2",
            books.now,
            event_id,
        )
        assert await books.work() == {event_id: outcome}


@pytest.mark.parametrize(
    ("euro_cents", "left"), [(949, 51), (951, 0), (1_000, 0), (1_049, 0), (1_051, 0)]
)
async def test_a_converted_dispute_within_a_twentieth_of_the_payment_is_the_whole(
    books: Books, euro_cents: int, left: int
) -> None:
    await books.db.execute("insert into public.fx_rates values ('eur', 1, $1)", NOON)
    payment, buyer = Payment(), await books.profile()
    await books.apply_one(payment.bought(buyer, units=10))
    await books.apply_one(payment.dispute(euro_cents, -euro_cents, currency="eur"))
    assert await books.coins(buyer) == left


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_smaller_of_two_uncaptured_amounts_of_one_second_counts(
    books: Books, order: Sequence[int]
) -> None:
    payment, buyer = Payment(), await books.profile()
    await books.apply_one(payment.bought(buyer, units=10))
    for no in order:
        await books.apply_one(payment.refunded_so_far(700, uncaptured_minor=(500, 200)[no]))
    assert await books.coins(buyer) == 500
