"""Velocity: five purchases in a rolling minute, by the provider's time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.db.books import APPLIED, COINS, NOON, Books, Outcome, Payment

if TYPE_CHECKING:
    from uuid import UUID

    from db.facts import Purchase

VELOCITY = Outcome("held", "velocity")


def bought_at(buyer: UUID, *seconds: float) -> list[Purchase]:
    return [Payment().bought(buyer, purchased_at=NOON + timedelta(seconds=s)) for s in seconds]


@pytest.mark.requirement("C7")
async def test_the_sixth_purchase_in_a_minute_is_held(books: Books) -> None:
    buyer = await books.profile()
    outcomes = await books.apply(*bought_at(buyer, 0, 1, 2, 3, 4, 59.999))
    assert outcomes == [APPLIED] * 5 + [VELOCITY]
    assert await books.coins(buyer) == 5 * COINS


@pytest.mark.requirement("C7", "H9")
async def test_a_purchase_exactly_a_minute_after_the_first_is_within_velocity(books: Books) -> None:
    buyer = await books.profile()
    assert await books.apply(*bought_at(buyer, 0, 1, 2, 3, 4, 60)) == [APPLIED] * 6


@pytest.mark.requirement("C7", "H9")
async def test_velocity_counts_the_purchases_of_earlier_batches(books: Books) -> None:
    buyer = await books.profile()
    for purchase in bought_at(buyer, 0, 0, 0, 0, 0):
        assert await books.apply_one(purchase) == APPLIED
    late, in_time = bought_at(buyer, 60, 59)
    assert await books.apply_one(in_time) == VELOCITY
    assert await books.apply_one(late) == APPLIED


@pytest.mark.requirement("C7", "H9")
async def test_velocity_goes_by_the_providers_time_in_whatever_order_events_come(
    books: Books,
) -> None:
    buyer = await books.profile()
    await books.apply(*bought_at(buyer, 100, 110, 120))
    await books.apply(*bought_at(buyer, 80, 90))
    assert await books.apply(*bought_at(buyer, 105)) == [VELOCITY]
    assert await books.apply(*bought_at(buyer, 20)) == [APPLIED]


@pytest.mark.requirement("C7", "H9")
async def test_velocity_finds_a_minute_that_starts_before_and_ends_after(books: Books) -> None:
    buyer = await books.profile()
    await books.apply(*bought_at(buyer, 10, 20, 69, 69, 69))
    assert await books.apply(*bought_at(buyer, 30)) == [VELOCITY]


@pytest.mark.requirement("C7", "H9")
async def test_a_purchase_told_last_and_made_first_is_within_a_minute_of_the_others_or_not(
    books: Books,
) -> None:
    buyer = await books.profile()
    await books.apply(*bought_at(buyer, 60, 60, 60, 60, 60))
    assert await books.apply(*bought_at(buyer, 0)) == [APPLIED]
    assert await books.apply(*bought_at(buyer, 1)) == [VELOCITY]


@pytest.mark.requirement("C7", "H9")
async def test_a_held_purchase_counts_for_velocity_until_it_is_rejected(books: Books) -> None:
    buyer, large = await books.profile(), Payment()
    await books.apply(large.worth(buyer, 30_000), *bought_at(buyer, 0, 0, 0, 0))
    assert await books.apply(*bought_at(buyer, 30)) == [VELOCITY]
    await books.db.execute(
        "select public.reject_coin_purchase(id, 'me', 'refused', true)"
        " from public.coin_purchases where hold_reason is not null"
    )
    # Each is judged by itself: four others are in the first's minute, none in the second's.
    assert await books.apply(*bought_at(buyer, 30, 630)) == [APPLIED, APPLIED]


@pytest.mark.requirement("C7", "H9")
async def test_velocity_counts_each_buyer_apart(books: Books) -> None:
    first, second = await books.profiles(2)
    purchases = [*bought_at(first, 0, 0, 0, 0, 0), *bought_at(second, 0, 0, 0, 0, 0)]
    assert await books.apply(*purchases) == [APPLIED] * 10


@pytest.mark.requirement("C7", "H9")
async def test_a_second_event_of_a_payment_does_not_count_for_velocity(books: Books) -> None:
    buyer, payment = await books.profile(), Payment()
    await books.apply(*(payment.bought(buyer) for _ in range(9)))
    assert await books.apply(*bought_at(buyer, 1, 1, 1, 1)) == [APPLIED] * 4


@pytest.mark.requirement("C7", "H9")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"units": 30_000}, VELOCITY),
        ({"units": 60_000}, Outcome("held", "over_limit")),
        ({"amount_minor": 1}, Outcome("held", "wrong_amount")),
    ],
)
async def test_what_is_wrong_with_a_payment_itself_is_named_before_velocity(
    books: Books, changes: dict[str, Any], expected: Outcome
) -> None:
    buyer = await books.profile()
    await books.apply(*bought_at(buyer, 0, 0, 0, 0, 0))
    assert await books.apply_one(Payment().bought(buyer, **changes)) == expected
