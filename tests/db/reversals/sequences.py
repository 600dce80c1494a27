"""Sequences of refunds and disputes, and all the ways in which their events may come.

A payment is 1,000 coins for 10.00, so a cent is a coin; times are minutes after it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from db.facts import Fact
from tests.db.books import APPLIED, NOON, Books, Payment

if TYPE_CHECKING:
    from datetime import datetime

EventSequence: TypeAlias = list[Callable[[Payment], Fact]]


def at(minute: int) -> datetime:
    """The provider's time so many minutes after the payment."""
    return NOON + timedelta(minutes=minute)


def total(minor: int, minute: int, uncaptured: int | None = None) -> Callable[[Payment], Fact]:
    """Make a fact: so much was refunded in all by that minute."""
    return lambda payment: payment.refunded_so_far(
        minor, told_at=at(minute), uncaptured_minor=uncaptured
    )


def refund(
    minor: int, minute: int, *, no: str = "a", status: str = "succeeded", made: int = 1
) -> Callable[[Payment], Fact]:
    """Make a fact: one refund in its state at that minute."""
    return lambda payment: payment.refund(
        minor, f"re_{no}", status, told_at=at(minute), refund_created_at=at(made)
    )


def dispute(
    *moved: int, minute: int = 1, minor: int = 1_000, **changes: Any
) -> Callable[[Payment], Fact]:
    """Make a fact: a dispute in its state at that minute."""
    return lambda payment: payment.dispute(minor, *moved, told_at=at(minute), **changes)


async def bought(books: Books, **changes: Any) -> Payment:
    """Apply somebody's payment of 10.00 for 1,000 coins."""
    payment = Payment()
    await books.apply_one(payment.bought(await books.profile(), units=10, **changes))
    return payment


async def left(books: Books, payment: Payment) -> tuple[int, str]:
    """Return the buyer's coins and the purchase's status."""
    purchase = await books.purchase(payment)
    return await books.coins(purchase["profile_id"]), purchase["status"]


async def short_endings_of(books: Books, events: EventSequence) -> set[tuple[int, str]]:
    """Return the endings if each event has a batch of its own, and all are in one, both ways."""
    apart, *together = [await bought(books) for _ in range(3)]
    for event in events:
        assert await books.apply_one(event(apart)) == APPLIED
    for payment, order in zip(together, (events, events[::-1]), strict=True):
        assert set(await books.apply(*[event(payment) for event in order])) == {APPLIED}
    return {await left(books, payment) for payment in (apart, *together)}


async def endings_of(books: Books, events: EventSequence) -> set[tuple[int, str]]:
    """Return all endings: in any order, in one batch, repeated, before the payment."""
    endings = set()
    orders = list(permutations(events))
    orders = orders[:: max(1, len(orders) // 6)]
    for no, order in enumerate(orders):
        payment = await bought(books)
        for event in order:
            assert await books.apply_one(event(payment)) == APPLIED
            if no % 3 == 0:
                await books.apply(event(payment))
        endings.add(await left(books, payment))
    together = await bought(books)
    shuffled = Random(0).sample(events * 2, len(events) * 2)
    await books.apply(*[event(together) for event in shuffled])
    endings.add(await left(books, together))
    early = Payment()
    await books.apply(*[event(early) for event in events])
    await books.apply_one(early.bought(await books.profile(), units=10))
    endings.add(await left(books, early))
    assert await books.breaches() == {}
    return endings


async def set_rate(books: Books, currency: str, usd: str, as_of: datetime = NOON) -> None:
    await books.db.execute(
        "insert into public.fx_rates (currency, usd_per_unit, as_of) values ($1, $2, $3)",
        currency,
        Decimal(usd),
        as_of,
    )


LOST, WON = partial(dispute, status="lost"), partial(dispute, status="won")
