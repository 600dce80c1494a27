"""Errors of the database as a test makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

if TYPE_CHECKING:
    from db.connections.pool import Connection


async def raised(connection: Connection, statement: str) -> BaseException:
    """The error that a statement ends in."""
    with pytest.raises(Exception) as caught:
        await connection.execute(statement)
    return caught.value


def told(sqlstate: str, message: str = "x", severity: str = "ERROR") -> asyncpg.PostgresError:
    """An error as a server tells it."""
    fields = {"C": sqlstate, "M": message, "S": severity, "V": severity}
    error = asyncpg.PostgresError.new(fields)
    assert isinstance(error, asyncpg.PostgresError)
    return error
