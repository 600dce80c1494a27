"""Calls of the two money functions that clients use, with what they return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.db.books import COINS, ROSE

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection


async def buy(
    connection: Connection,
    buyer: UUID,
    event: str = "evt",
    payment: str = "pay",
    **arguments: object,
) -> tuple[object, ...]:
    """Buy 100 coins for 1.00; return status, balance, and whether the call was a repetition."""
    values = {"provider": "app", "coins": COINS, "usd": "1.00", "country": None} | arguments
    row = await connection.fetchrow(
        "select status, coin_balance, replayed from public.process_coin_purchase("
        "$1, $7, $2, $3, $4, $5::text::numeric, '203.0.113.7', $6, 'Browser')",
        buyer,
        event,
        payment,
        values["coins"],
        values["usd"],
        values["country"],
        values["provider"],
    )
    assert row is not None
    return tuple(row)


async def give(
    connection: Connection, recipient: UUID | None, key: str = "key", **arguments: object
) -> tuple[object, ...]:
    """Give roses, at a coin each; return the balance, and whether the call was a repetition."""
    values = {"gift_type": ROSE, "quantity": 1, "stream": None, "slot": None} | arguments
    row = await connection.fetchrow(
        "select coin_balance, replayed from public.process_gift($1, $2, $3, $4, $5, $6)",
        recipient,
        values["gift_type"],
        key,
        values["quantity"],
        values["stream"],
        values["slot"],
    )
    assert row is not None
    return tuple(row)
