"""One payment for a person: its names, purchases, refunds, disputes and freezes.

The questions are those of its story (`coinfleet explain`), so both tell the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.operating.story_queries import ABOUT_PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from db.connections.pool import Connection

# A payment has few of each; whoever has more is told so by its story.
PARTS_MAX = 200
_PARTS = ("name", "purchase", "refund", "dispute", "freeze", "joined")


@dataclass(frozen=True, slots=True)
class PaymentView:
    """What is known of a payment: rows as the story's questions return them."""

    names: Sequence[asyncpg.Record]
    purchases: Sequence[asyncpg.Record]
    refunds: Sequence[asyncpg.Record]
    disputes: Sequence[asyncpg.Record]
    freezes: Sequence[asyncpg.Record]
    joined: Sequence[asyncpg.Record]
    home_id: int | None
    """The payment that this one turned out to be, if it is another."""


async def read_payment(connection: Connection, payment_id: int) -> PaymentView | None:
    """Return a payment; None if nothing has this number."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        names, purchases, refunds, disputes, freezes, joined = [
            await connection.fetch(f"{ABOUT_PAYMENTS[part]} limit {PARTS_MAX}", [payment_id])
            for part in _PARTS
        ]
        home_id = await connection.fetchval(
            "select j.payment_id from public.coin_purchases as p"
            " join fleet.joined_purchases as j on j.purchase_id = p.id"
            " where p.payment_id = $1 and j.payment_id <> $1 limit 1",
            payment_id,
        )
    if not names and not purchases:
        return None
    return PaymentView(names, purchases, refunds, disputes, freezes, joined, home_id)


async def read_payment_of(connection: Connection, purchase_id: int) -> int:
    """Return the payment of a purchase: the one that it turned out to be of, if that is another."""
    found: int = await connection.fetchval(
        "select coalesce(j.payment_id, p.payment_id) from public.coin_purchases as p"
        " left join fleet.joined_purchases as j on j.purchase_id = p.id where p.id = $1",
        purchase_id,
    )
    return found
