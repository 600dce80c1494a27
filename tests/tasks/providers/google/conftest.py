"""Fixtures of the tests of Google."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from workers.mock_providers.google import GoogleHost, GoogleServer, account_file, google_host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(scope="module")
async def host() -> AsyncIterator[GoogleHost]:
    """Where Google's API is, for the tests of a module: starting and ending it takes a while."""
    async with google_host() as host:
        yield host


@pytest_asyncio.fixture
async def google(host: GoogleHost) -> AsyncIterator[GoogleServer]:
    """Google's API, without purchases."""
    async with host.account() as google:
        yield google


@pytest.fixture
def account(google: GoogleServer, tmp_path: Path) -> Path:
    """The key of a service account that may ask it."""
    return account_file(tmp_path, google.base)
