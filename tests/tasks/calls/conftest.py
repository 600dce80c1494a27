"""A worker's context with one provider, the shop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tasks.calls.shop import Shop
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from db.connections.pool import Pool
    from tasks.context import Context


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def context(worker_pool: Pool, shop: Shop) -> Context:
    """What a worker gives to the task, with one provider."""
    return make_context(worker_pool, providers={"shop": shop})
