"""A database that a release has just brought up, for whatever somebody changes in it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from db.release.runner import migrate

if TYPE_CHECKING:
    from tests.clusters import Database


@pytest_asyncio.fixture
async def released(database: Database) -> Database:
    """The test's database; a release has just found that nothing is lost."""
    assert (await migrate(database.url())).steps == ()
    return database
