"""Fixtures of the tests of what the app is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest_asyncio

from tests.db.deliveries.messages import Messages

if TYPE_CHECKING:
    from tests.db.books import Books


@pytest_asyncio.fixture
async def messages(books: Books) -> Messages:
    """The messages to the app, which is told everything; the proofs look at what is recent."""
    books.now = datetime.now(UTC)
    await books.db.execute("update fleet.settings set app_told_since = '2026-01-01'")
    return Messages(books)
