"""Fixtures of the tests of the app as it is told what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from tests.tasks.providers.app.receiver import OLD, Receiver
from workers.mock_providers.app import MockApp, make_app
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module")
async def host() -> AsyncIterator[Receiver]:
    """Where the app hears, for the tests of a module: starting and ending it takes a while."""
    receiver = Receiver(MockApp(secrets=[OLD]))
    async with serving(make_app(receiver)) as receiver.base:
        yield receiver


@pytest_asyncio.fixture
async def receiver(host: Receiver) -> AsyncIterator[Receiver]:
    """The app's server, which has heard nothing."""
    host.app = MockApp(secrets=[OLD])
    yield host
    host.app.silence.set()
