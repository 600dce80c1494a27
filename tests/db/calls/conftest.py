"""Fixtures of the outbox's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.calls.outbox import Outbox

if TYPE_CHECKING:
    from tests.db.books import Books


@pytest.fixture
def outbox(books: Books) -> Outbox:
    """An empty outbox."""
    return Outbox(books)
