"""Fixtures of the money tests: the books, and conditions to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.db.books import PRICE_LIST, Books

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.pool import Connection


@pytest_asyncio.fixture
async def books(db: Connection) -> AsyncIterator[Books]:
    """The test's books; whatever it did, they are right when it ends."""
    await db.execute(PRICE_LIST)
    books = Books(db)
    yield books
    assert await books.breaches() == {}
