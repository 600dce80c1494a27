"""Fixtures of the tests of Stripe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from workers.mock_providers.stripe import StripeHost, StripeServer, stripe_host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="module")
async def host() -> AsyncIterator[StripeHost]:
    """Where Stripe's API is, for the tests of a module: starting and ending it takes a while."""
    async with stripe_host() as host:
        yield host


@pytest_asyncio.fixture
async def stripe(host: StripeHost) -> AsyncIterator[StripeServer]:
    """Stripe's API, without payments."""
    async with host.account() as stripe:
        yield stripe
