"""Payments that are frozen: 1,000 coins for 10.00, so a cent is a coin."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.db.books import NOON, Books, Payment

if TYPE_CHECKING:
    from uuid import UUID

LATER = NOON + timedelta(minutes=5)


async def bought(books: Books, payment: Payment) -> UUID:
    """Apply somebody's payment of 10.00 for 1,000 coins; return the buyer."""
    buyer = await books.profile()
    await books.apply_one(payment.bought(buyer, units=10))
    return buyer


async def frozen(books: Books, buyer: UUID) -> int:
    """How many of somebody's coins are frozen."""
    coins = await books.db.fetchval("select coins from fleet.frozen_coins(array[$1::uuid])", buyer)
    return int(coins or 0)


async def released_by(books: Books, payment: Payment) -> list[str | None]:
    """Who or what released each freeze of a payment, in the order of their ids."""
    rows = await books.db.fetch(
        "select f.released_by from fleet.freezes as f join fleet.payment_keys as k"
        " using (payment_id) where k.key = $1 order by f.source, f.source_id",
        payment.intent,
    )
    return [row["released_by"] for row in rows]
