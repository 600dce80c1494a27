"""The one viewer of a test, whose heartbeats come one by one or through a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import pytest_asyncio

from tests.db.books import breaches
from tests.db.presence.audience import Audience
from tests.db.presence.tabs.viewers import Viewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection


@pytest_asyncio.fixture
async def audience(db: Connection) -> AsyncIterator[Audience]:
    """Viewers and streams; each counter is right when the test ends."""
    yield Audience(db)
    assert await breaches(db) == {}


@pytest.fixture(params=[False, True], ids=["client", "gateway"])
def viewer(audience: Audience, viewer: UUID, stream: int, request: pytest.FixtureRequest) -> Viewer:
    """The one viewer of a test."""
    return Viewer(audience, viewer, stream, by_gateway=request.param)
