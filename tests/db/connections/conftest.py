"""What the tests of connections share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.clusters import Database


@pytest.fixture
def url(database: Database) -> str:
    """A worker's address."""
    return database.url("worker")
