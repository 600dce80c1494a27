"""The books with a price list of the stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.db.stores.sales import PRICE_LIST, Sale

if TYPE_CHECKING:
    from tests.db.books import Books


@pytest_asyncio.fixture(autouse=True)
async def price_list(books: Books) -> None:
    """What the stores sell."""
    await books.db.execute(PRICE_LIST)


@pytest_asyncio.fixture
async def named(books: Books) -> None:
    """Everybody is who they say: fleet.deciding_person has tests of its own."""
    await books.db.execute(
        "create or replace function fleet.deciding_person(p_who text) returns text"
        " language sql stable set search_path = '', pg_temp as 'select p_who'"
    )


@pytest.fixture(params=["apple", "google"])
def sale(request: pytest.FixtureRequest) -> Sale:
    """A sale at each store in turn."""
    return Sale(request.param)


@pytest.fixture
def apple() -> Sale:
    """A sale at Apple."""
    return Sale("apple")


@pytest.fixture
def google() -> Sale:
    """A sale at Google."""
    return Sale("google")
