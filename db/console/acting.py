"""Transactions in which a person of the console acts: from where is kept with what is done."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection, Pool


@asynccontextmanager
async def acting(pool: Pool, *, origin: str) -> AsyncIterator[Connection]:
    """Open a transaction that is committed at the end, and undone if an error leaves it.

    Rows of decisions, corrections, actions and sessions keep `origin`.
    """
    async with pool.acquire() as connection, acting_on(connection, origin=origin):
        yield connection


@asynccontextmanager
async def acting_on(connection: Connection, *, origin: str) -> AsyncIterator[None]:
    """Do the same in a session that is open: for what takes several transactions."""
    async with connection.transaction():
        await connection.execute("select set_config('coinfleet.origin', $1, true)", origin)
        yield
