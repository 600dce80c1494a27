"""Fixtures of the tests of backfills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.db.backfill.readings import Readings

if TYPE_CHECKING:
    from tests.db.books import Books


@pytest.fixture
def readings(books: Books) -> Readings:
    """Readings of histories, none begun."""
    return Readings(books)
